"""Runs a row of docs/results.md and writes down what its metrics.json says: `make results ROW=sst2 DATA=folder`.

Nothing in docs/results.md, nor in the README's table of tasks, is typed by hand: both are made from docs/results.json, and that from
the runs. Without ROW they are only written anew.
"""

import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

import yaml
from rows import ROWS, TASKS, Row

ROOT = Path(__file__).resolve().parents[1]
RECORD, PAGE, README = ROOT / "docs" / "results.json", ROOT / "docs" / "results.md", ROOT / "README.md"
FILES = "files"  # in the record: what benchmarks/damage.py found
STRANGERS = "strangers"  # what benchmarks/hostile_folders.py found
SURROUNDINGS = "surroundings"  # and benchmarks/surroundings.py
BEGIN, END = "<!-- written by `make results` -->", "<!-- until here -->"


def main(arguments: list[str]) -> int:
    options = dict(text.split("=", 1) for text in arguments)
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    if name := options.get("ROW"):
        if name not in ROWS:
            print(f"ROW={name}: there is no such row; there are: {', '.join(ROWS)}", file=sys.stderr)
            return 2
        taken = options.get("FROM")
        places = {name: options.get(name.upper(), name.upper()) for name in ("data", "run", "model")}
        record[name] = taken_from(Path(taken)) if taken else measure(ROWS[name], places)
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(record), encoding="utf-8")
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    README.write_text(f"{before}{BEGIN}\n{table(record)}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return 0


def measure(row: Row, places: dict[str, str]) -> dict[str, Any]:
    """Runs a row once a seed; figures from metrics.json, CPU-seconds from the operating system."""
    if row.evaluates:
        return measured_again(row, places)
    runs = []
    for seed in row.seeds:
        words = [*row.command.format(**places).split(), *([f"seed={seed}"] if len(row.seeds) > 1 else [])]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        folder = trained([sys.executable, "train.py", *words])
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        figures = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        runs.append({"seed": seed, "cpu_seconds": round(seconds, 1), "figures": figures, "signature": signature(folder)})
    shown = row.command.format(data="DATA", run="RUN", model="MODEL")
    return {"command": f"python train.py {shown}".strip(), "runs": runs, "setting": setting_of(folder)}


def taken_from(folder: Path) -> dict[str, Any]:
    """Figures of a run that somebody made with the row's command, and what was typed."""
    notes = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    figures = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    pretrained = any(word.startswith("model.pretrained=") for word in notes["overrides"])  # its model and tokenizer were not typed
    left_out = ("name=", "model=", "tokenizer") if pretrained else ("name=",)
    typed = " ".join(_placed(word) for word in notes["overrides"] if not word.startswith(left_out))
    run = {"seed": 0, "cpu_seconds": notes.get("cpu_seconds"), "figures": figures, "signature": signature(folder)}
    return {"command": f"python train.py {typed}", "runs": [run], "setting": setting_of(folder)}


def _placed(word: str) -> str:
    """A word as the page shows it: without the folders of the machine."""
    places = {"data.folder": "DATA/...", "model.pretrained": "MODEL", "tokenizer.file": "MODEL"}
    key = word.partition("=")[0]
    return f"{key}={places[key]}" if key in places else word


def measured_again(row: Row, places: dict[str, str]) -> dict[str, Any]:
    """Figures of a run that is there already, as `evaluate` prints them."""
    words = ["-m", "framework", "evaluate", *row.command.format(**places).split()]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = subprocess.run([sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    figures = {name: float(value) for name, value in (line.split() for line in lines if len(line.split()) == 2 and "/" in line.split()[0])}
    run = {"seed": None, "cpu_seconds": round(seconds, 1), "figures": figures, "signature": signature(Path(places["run"]))}
    shown = row.command.format(data="DATA", run="RUN", model="MODEL")
    return {"command": f"python -m framework evaluate {shown}", "runs": [run], "setting": setting_of(Path(places["run"]))}


def setting_of(folder: Path) -> dict[str, Any]:
    """What else a figure depends on."""
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    return {
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "machine": platform.machine(),
        "versions": json.loads((folder / "run.json").read_text(encoding="utf-8"))["versions"],
        "precision": config["trainer"]["precision"] or "32-true",
    }


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
        "seeds: mean ± standard deviation over them; of one, in brackets, the 95 % interval over the test rows ([compare.md](compare.md)).",
        "Everything else that was measured, and where a figure falls short of its goal: [measurements.md](measurements.md).",
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
                lines.append(f"| `{figure}` | {spread(values)}{between(runs, figure)} |")
        seconds = [run["cpu_seconds"] or 0.0 for run in runs]
        lines += [f"| CPU-seconds | {spread(seconds, digits=0)} |", f"| beside | {row.beside} |", ""]
        seeds = f", seeds {', '.join(str(run['seed']) for run in runs)}" if len(runs) > 1 else ""
        versions = setting["versions"]
        lines += [
            f"`{entry['command']}`{seeds}; {setting['machine']}, threads {setting['threads']}, precision {setting['precision']}, "
            f"torch {versions.get('torch')}, Python {versions.get('python')}.",
            *([f"sacreBLEU: `{runs[0]['signature']}`."] if runs[0].get("signature") else []),
            "",
        ]
    if tried := record.get(FILES):
        kinds = tried["kinds"]
        every = {**kinds, "all": [sum(counts) for counts in zip(*kinds.values(), strict=True)]}
        lines += [
            "## Files of rows, whole and damaged",
            "",
            "| files | tried | read as written | refused with file, place and remedy | broken |",
            "| --- | --- | --- | --- | --- |",
            *(f"| {name} | {sum(counts):,} | {' | '.join(f'{count:,}' for count in counts)} |" for name, counts in every.items()),
            "",
            f"`{tried['command']}`: the cases of `tests/data/damage.py`, drawn with {tried['seeds']} seeds. Broken: a traceback, other",
            "rows than were written, or a refusal of a file that is whole.",
            "",
        ]
    if tried := record.get(STRANGERS):
        lines += [
            "## Strangers' folders",
            "",
            "| folders | opened | of them to be refused | broken | most CPU-seconds | most memory, MB |",
            "| --- | --- | --- | --- | --- | --- |",
            *(strangers_line(name, [kind]) for name, kind in tried["kinds"].items()),
            strangers_line("all", list(tried["kinds"].values())),
            "",
            f"`{tried['command']}`: the folders of `tests/hostile/folders.py`, each opened by predict, evaluate, export and",
            "`model.pretrained` (what its kind allows) in a process of its own under `sys.addaudithook`. Broken: something ran, a process",
            "or connection was started, something was written outside, a traceback, a hostile folder that was opened, a message of more",
            "than six lines, 20 CPU-seconds or 1 GB more than the process had before.",
            "",
        ]
    if tried := record.get(SURROUNDINGS):
        cases = [(name, what, " ".join(map(str, codes)), lost, bugs) for name, (what, codes, lost, bugs) in tried["cases"].items()]
        lines += [
            "## The run and its surroundings",
            "",
            "| what is wrong | commands | exit codes | lost checkpoints | tracebacks |",
            "| --- | --- | --- | --- | --- |",
            *(f"| {' | '.join(map(str, case))} |" for case in cases),
            "",
            f"`{tried['command']}`, as root. Exit codes: 0, or 2 after a message of what is missing. Tracebacks: any other code, too.",
            "Lost: a checkpoint that was whole before a command and is not after it, or is an older one.",
            "",
        ]
    return "\n".join(lines)


def strangers_line(name: str, kinds: list[dict[str, Any]]) -> str:
    """A line of the table of strangers' folders."""
    counts = [sum(kind[key] for kind in kinds) for key in ("folders", "refused", "broken")]
    return f"| {name} | {' | '.join(map(str, counts))} | {max(kind['cpu'] for kind in kinds)} | {max(kind['memory'] for kind in kinds):,} |"


def table(record: dict[str, Any]) -> str:
    """A line a task: input, command, its figure and the baseline's on built-in rows, and on a published set; CPU-seconds in brackets."""
    lines = ["| task | model | columns | figure | built-in rows, baseline | published rows |", "| --- | --- | --- | --- | --- | --- |"]
    for line in TASKS:
        cells = [f"`{line.task}`", line.model, line.columns, line.figure.replace("_", " ")]
        for name, beside in ((line.builtin, line.baseline), (line.published, "")):
            if name not in record:
                cells.append("")
                continue
            runs = record[name]["runs"]
            figures = [{**run["figures"], "seconds": run["cpu_seconds"]} for run in runs]
            values = {key: mean(found[key] for found in figures) for key in figures[0] if all(key in found for found in figures)}
            own = values.get(f"test/{line.figure}", values.get(f"validation/{line.figure}"))
            other = values.get(f"baseline/{line.figure}")
            command = record[name]["command"].partition(" data.folder")[0].removeprefix("python train.py").strip() or "python train.py"
            text = f"`{command}`: **{own:.3g}**{between(runs, f'test/{line.figure}', 3)}"
            text += f", {beside} {other:.3g}" if beside and other is not None else ""
            cells.append(f"{text} ({values['seconds']:.0f} s)")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def between(runs: Sequence[dict[str, Any]], figure: str, digits: int = 4) -> str:
    """The 95 % interval of the figure of one run, in brackets; nothing for several, or where it was not measured."""
    ends = [runs[0]["figures"].get(f"{end}/{figure}") for end in ("low", "high")]
    if len(runs) > 1 or None in ends:
        return ""
    return f" ({ends[0]:.{digits}g} to {ends[1]:.{digits}g})"


def spread(values: list[float], digits: int = 4) -> str:
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{mean(values):.{digits}f} ± {pstdev(values):.{digits}f} ({', '.join(f'{value:.{digits}f}' for value in values)})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
