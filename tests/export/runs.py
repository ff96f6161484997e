"""Runs that were never trained: a folder with everything a finished run has, made in a moment."""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import torch

from framework.config.compose import Composed, compose
from framework.data.spec import DataSpec
from framework.data.tokenization.trainers import BytesTokenizer, Tokenizer
from framework.runs.build import build_task
from framework.runs.folder import Run

TOY = ["model.dim=16", "model.num_layers=2", "model.num_heads=4", "model.max_length=64", "model.initial_std=0.3", "tokenizer=bytes"]
SPEC: dict[str, dict[str, Any]] = {
    "classification": {"labels": ("bad", "good", "so so")},
    "ner": {"labels": ("person", "place"), "statistics": {"scheme": "iob2", "pieces": "first"}},
}
TASKS = ("classification", "ner", "completion", "pretraining", "translation", "summarization")


@cache
def composed_once(*overrides: str) -> Composed:
    return compose(list(overrides))


def make_run(root: Path, task: str, *words: str, spec: dict[str, Any] | None = None, seed: int = 0) -> Path:
    """The folder of a run of that task and these overrides, with weights as they are drawn."""
    overrides = [f"task={task}", *TOY, *words]
    composed = copy.deepcopy(composed_once(*overrides))
    tokenizer: Tokenizer = BytesTokenizer().train(lambda: ())
    special = tokenizer.special_ids
    named = {name: special[name] for name in ("begin", "end", "unknown", "mask")}
    known = DataSpec(tokenizer.vocab_size, composed.config["model"]["max_length"], **named, **(SPEC.get(task, {}) | (spec or {})))
    run = Run.create(root / "runs", task, composed.config, overrides, composed.chosen)
    tokenizer.save(run.tokenizer)
    known.save(run.spec)
    torch.manual_seed(seed)
    made = build_task(composed.config, known)
    run.checkpoints.mkdir()
    torch.save({"state_dict": {f"task.{name}": value for name, value in made.state_dict().items()}}, run.best)
    figures = {"validation/loss": 1.25, "test/loss": 1.5, "test/accuracy": 0.75, "baseline/accuracy": 0.5}
    run.metrics.write_text(json.dumps(figures))
    return run.folder
