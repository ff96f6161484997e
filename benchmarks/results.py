"""Runs a row of docs/results.md and writes down what its metrics.json says: `make results ROW=sst2 DATA=folder`.

Nothing in docs/results.md is typed by hand: it is made from docs/results.json, and that from the runs. Without ROW the page is only
written anew.
"""

import json
import os
import platform
import resource
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
RECORD, PAGE = ROOT / "docs" / "results.json", ROOT / "docs" / "results.md"


@dataclass
class Row:
    """One line of the page: what is run, with which seeds, which figures count, and what they stand beside."""

    title: str
    command: str
    figures: list[str]
    beside: str
    seeds: list[int] = field(default_factory=lambda: [0])


ROWS = {
    "default": Row(
        "Completion, built-in (Python's own standard library), the default run",
        "",
        ["test/bits_per_byte", "baseline/bits_per_byte"],
        "at most 2.4 in two CPU-minutes; an order-2 byte model of the same rows (2.684 on 10 MB)",
    ),
    "classification": Row(
        "Classification, built-in (which package is it from)",
        "task=classification",
        ["test/accuracy", "test/f1", "baseline/accuracy"],
        "naive Bayes on uni- and bigrams",
    ),
    "translation": Row(
        "Translation, built-in **synthetic** English-German",
        "task=translation",
        ["test/bleu", "test/chrf", "baseline/bleu"],
        "word-by-word translation (synthetic pairs)",
    ),
    "sst2": Row(
        "SST-2, sentences only, from scratch",
        "experiment=sst2 data.folder={data}/classification/sst2",
        ["test/accuracy", "test/f1", "validation/accuracy", "baseline/accuracy"],
        "goal 0.79; naive Bayes 0.825; CNN-rand trained on phrases 0.827 (Kim 2014)",
        [0, 1, 2],
    ),
    "trec": Row(
        "TREC, six coarse classes, from scratch",
        "experiment=trec data.folder={data}/classification/trec",
        ["test/accuracy", "test/f1", "validation/accuracy", "baseline/accuracy"],
        "goal 0.84; naive Bayes 0.826; CNN-rand 0.912 (Kim 2014)",
        [0, 1, 2],
    ),
    "tinyshakespeare": Row(
        "tinyshakespeare, characters, nanoGPT's CPU setting",
        "experiment=tinyshakespeare data.folder={data}/completion/tinyshakespeare",
        ["validation/loss"],
        "nanoGPT 1.88",
    ),
    "tinyshakespeare_muon": Row(
        "tinyshakespeare, the same shape, batches and steps with Muon",
        "experiment=tinyshakespeare optimizer=muon optimizer.lr=3e-3 data.folder={data}/completion/tinyshakespeare",
        ["validation/loss"],
        "nanoGPT 1.88, with AdamW",
    ),
    "multi30k": Row(
        "Multi30k en-de, raw cased, test_2016, greedy",
        "experiment=multi30k data.folder={data}/translation/multi30k",
        ["test/bleu", "test/chrf", "validation/bleu"],
        "goal 32 in 60 CPU-minutes with at most 10 M parameters; Transformer-Tiny 41.02 lower-cased, tokenized, beam 5",
    ),
}


def main(arguments: list[str]) -> int:
    options = dict(text.split("=", 1) for text in arguments)
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    if name := options.get("ROW"):
        if name not in ROWS:
            print(f"ROW={name}: there is no such row; there are: {', '.join(ROWS)}", file=sys.stderr)
            return 2
        record[name] = measure(ROWS[name], options.get("DATA", "data"), options.get("MORE", ""))
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(record), encoding="utf-8")
    return 0


def measure(row: Row, data: str, more: str) -> dict[str, Any]:
    """Runs a row once a seed; figures from metrics.json, CPU-seconds from the operating system."""
    runs = []
    command = " ".join(f"{row.command} {more}".split())
    for seed in row.seeds:
        words = [*command.format(data=data).split(), *([f"seed={seed}"] if len(row.seeds) > 1 else [])]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        folder = trained([sys.executable, "train.py", *words])
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        figures = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        runs.append({"seed": seed, "cpu_seconds": round(seconds, 1), "figures": figures, "signature": signature(folder)})
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    versions = json.loads((folder / "run.json").read_text(encoding="utf-8"))["versions"]
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    setting = {
        "threads": threads,
        "machine": platform.machine(),
        "versions": versions,
        "precision": config["trainer"]["precision"] or "32-true",
    }
    return {"command": f"python train.py {command}".replace("{data}", "DATA").strip(), "runs": runs, "setting": setting}


def trained(command: list[str]) -> Path:
    """Runs a training, shows what it prints, and gives the folder that it names last."""
    folder = ""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            folder = line.split()[1] if line.startswith("folder ") else folder
    if process.returncode:
        raise SystemExit(process.returncode)
    return ROOT / folder


def signature(folder: Path) -> str:
    """sacreBLEU's signature, where a BLEU was measured."""
    return json.loads((folder / "run.json").read_text(encoding="utf-8")).get("signatures", {}).get("bleu", "")


def page(record: dict[str, Any]) -> str:
    lines = [
        "# Results",
        "",
        "Written by `make results ROW=NAME DATA=FOLDER` from the `metrics.json` of the runs; nothing here is typed by hand. `DATA` is the",
        "folder with the published datasets. Test figures are of the checkpoint that was best on validation, and hyper-parameters",
        "were chosen on validation only. CPU-seconds are those of the whole process, imports and baseline included. With several",
        "seeds: mean ± standard deviation over them.",
        "",
    ]
    for name, row in ROWS.items():
        if name not in record:
            continue
        entry = record[name]
        runs, setting = entry["runs"], entry["setting"]
        lines += [f"## {row.title}", "", "| figure | value |", "| --- | --- |"]
        for figure in row.figures:
            values = [run["figures"][figure] for run in runs if figure in run["figures"]]
            if values:
                lines.append(f"| `{figure}` | {spread(values)} |")
        seconds = [run["cpu_seconds"] for run in runs]
        lines += [f"| CPU-seconds | {spread(seconds, digits=0)} |", f"| beside | {row.beside} |", ""]
        seeds = f", seeds {', '.join(str(run['seed']) for run in runs)}" if len(runs) > 1 else ""
        versions = setting["versions"]
        lines += [
            f"`{entry['command']}`{seeds}; {setting['machine']}, threads {setting['threads']}, precision {setting['precision']}, "
            f"torch {versions.get('torch')}, Python {versions.get('python')}.",
            *([f"sacreBLEU: `{runs[0]['signature']}`."] if runs[0].get("signature") else []),
            "",
        ]
    other = ROOT / "docs" / "measurements.md"
    return "\n".join(lines) + (other.read_text(encoding="utf-8") if other.exists() else "")


def spread(values: list[float], digits: int = 4) -> str:
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{mean(values):.{digits}f} ± {pstdev(values):.{digits}f} ({', '.join(f'{value:.{digits}f}' for value in values)})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
