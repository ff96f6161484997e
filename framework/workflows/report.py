"""Reports of a run in the terminal: the card at its start, metrics and next commands at its end."""

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from framework.data.module import Prepared
from framework.runs.figures import SPLITS, figure_text, names_of
from framework.runs.folder import Run
from framework.runs.summary import parameter_lines, parts_line
from framework.tasks.base import Task
from framework.utils.excerpt import excerpt


def print_start(config: Mapping[str, Any], prepared: Prepared, task: Task, folder: Path, world: int, lines: Sequence[str] = ()) -> None:
    """Prints model, initial weights, data, device and folder of a run."""
    trainer = config["trainer"]
    print(parts_line(config))
    print("\n".join([*parameter_lines(task), *lines]))
    for split, size in prepared.sizes.items():
        lost = "".join(f", {size[key]:,} {key}" for key in ("unknown", "truncated", "dropped") if size[key])
        note = prepared.source.split_note(split, prepared.sizes)
        print(f"{split:<12}{size['rows']:>10,} rows {size['tokens']:>12,} tokens{lost}{f'; {note}' if note else ''}")
    print("".join(f"{remark}\n" for remark in prepared.remarks), end="")
    device = "cuda" if trainer["accelerator"] in ("auto", "gpu", "cuda") and torch.cuda.is_available() else "cpu"
    precision = trainer["precision"] or "32-true"
    print(f"vocabulary {prepared.spec.vocab_size:,}; {world} process{'es' * (world > 1)} on {device}, precision {precision}")
    print(f"folder {folder}", flush=True)


def print_end(
    run: Run,
    metrics: Mapping[str, float],
    signatures: Mapping[str, str],
    verdict: str = "",
    hints: Sequence[str] = (),
    stopped: str | None = None,
) -> None:
    """Prints metrics with their intervals, a few predictions, the verdict on them and what to try, and commands to continue with.
    stopped: why training ended before its time, if it did."""
    print()
    for row in sample(run.predictions, 3):
        for name in ("input", "reference", "prediction"):
            if name in row:
                print(f"{name:>10}: {excerpt(str(row[name]))}")
        print()
    names = names_of(metrics)
    width = max([16, *(len(name) + 1 for name in names)])
    for name in names:
        columns = [f"{split} {text}" for split in SPLITS if (text := figure_text(metrics, f"{split}/{name}"))]
        print(f"{name:<{width}}{'   '.join(columns)}")
    for name, signature in signatures.items():
        print(f"{name:<{width}}{signature}")
    if verdict:
        print(f"\n{verdict}")
    for number, hint in enumerate(hints, 1):
        print(f"  {'try' if number == 1 else '   '} {number}. {hint}")
    if stopped:
        print(f"\n{stopped}")
    print(f"\nfolder   {run.folder}")
    print(f'predict  python -m framework predict {run.folder} text="..."')
    print(f"report   python -m framework report {run.folder}")
    print(f"resume   python train.py resume={run.folder} trainer.max_epochs=...", flush=True)


def sample(predictions: Path, count: int) -> list[dict[str, Any]]:
    """The first rows with a prediction."""
    if not predictions.exists():
        return []
    with open(predictions, encoding="utf-8") as file:
        rows = (json.loads(line) for line in file)
        return list(islice((row for row in rows if "prediction" in row), count))
