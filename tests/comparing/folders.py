"""Folders of finished runs that nobody trained: config, figures and predicted rows."""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from framework import DataSpec
from framework.metrics.resampling import intervals
from framework.runs.folder import Run
from framework.tasks.base import Task
from framework.tasks.resampled import figures_of, resampled
from framework.workflows.start import compose_run

LABELS = ("a", "b")
SMALL = ("model.dim=8", "model.num_layers=1", "model.num_heads=2", "model.max_length=16", "tokenizer=bytes")


@lru_cache
def _composed(words: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    found = compose_run(words)
    return found.config, found.chosen


def composed(words: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    """Config and choices of a command line. It is composed once for all seeds, on which nothing else depends."""
    config, chosen = _composed(tuple(word for word in words if not word.startswith("seed=")))
    seeds = [int(word.partition("=")[2]) for word in words if word.startswith("seed=")]
    return {**config, "seed": seeds[-1] if seeds else config["seed"]}, chosen


def run_folder(
    root: Path, name: str, words: Sequence[str], rows: Sequence[dict[str, Any]], task: Task, split: str = "test", **notes: Any
) -> Path:
    """A finished run. words: its command line, seed included. rows: of predictions.jsonl; the metrics of the task are computed of them."""
    words = tuple(words)
    config, chosen = composed((f"task={TASKS[type(task).__name__]}", *SMALL, *words))
    run = Run(root / name)
    run.folder.mkdir(parents=True)
    run.save_config({**config, "name": name})
    run.save_notes({"overrides": list(words), "chosen": chosen, "versions": {}, "parts": {}, "created": name, "state": "finished"})
    DataSpec(vocab_size=261, max_length=16, labels=LABELS).save(run.spec)
    numbered = [{"row": number, **row} for number, row in enumerate(rows)]
    run.predictions.write_text("".join(f"{json.dumps(row)}\n" for row in numbered))
    figures = {f"{split}/{figure}": value for figure, value in figures_of(task, numbered).items()}
    for figure, ends in (intervals(found) if (found := resampled(task, numbered)) else {}).items():
        figures |= {f"low/{split}/{figure}": ends[0], f"high/{split}/{figure}": ends[1]}
    run.save_metrics({f"{split}/loss": 1.0, **figures}, task.monitor, costs={"parameters": 1000, "trained_tokens": 500})
    run.save_notes({**run.notes(), **notes})
    return run.folder


TASKS = {"ClassificationTask": "classification", "TranslationTask": "translation"}


def labelled(count: int, right: float, seed: int, shared: float = 0.0) -> list[dict[str, Any]]:
    """Rows with a label each, of which a share is right. shared: how much of whether a row is right lies in the row, whatever the seed."""
    rows, draw = Random(0), Random(seed + 1)
    made = []
    for number in range(count):
        reference = LABELS[number % 2]
        chance = rows.random() if draw.random() < shared else draw.random()
        prediction = reference if chance < right else LABELS[1 - number % 2]
        made.append({"input": f"text {number}", "reference": reference, "prediction": prediction})
    return made
