"""A trained run, loaded for prediction."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import nn

from framework.config import catalogue as index
from framework.data.formats import Batch, Features, Format, Row
from framework.data.sources.base import error_context
from framework.data.spec import DataSpec
from framework.data.tokenization.trainers import Tokenizer
from framework.errors import UserError
from framework.generation.engine import Decode
from framework.registry import build
from framework.runs.checkpoint import load_task
from framework.runs.folder import Run
from framework.tasks.base import Task

BATCH_ROWS = 64


@dataclass(frozen=True)
class Predictor:
    """A trained task in evaluation mode, with the text format and tokenizer that make its batches. path: of its weights."""

    task: Task
    format: Format
    tokenizer: Tokenizer
    spec: DataSpec
    config: dict[str, Any]
    path: Path

    @classmethod
    def load(cls, run: Run | Path | str, config: dict[str, Any] | None = None) -> "Predictor":
        """The best weights of a run (the last ones if none were measured), or those of a folder exported with to=safetensors.

        config: the run's own with other options that no weight depends on; None = the run's own.
        UserError: no run, no weights, or weights that are truncated, foreign, hostile or of another model.
        """
        run = run if isinstance(run, Run) else Run.open(Path(run))
        if run.checkpoint is None:
            raise UserError(f"{run.folder} has no checkpoint yet; resume={run.folder} starts it again")
        for needed in (run.tokenizer, run.spec):
            if not needed.exists():
                raise UserError(f"{run.folder} is not complete: {needed.name} is missing")
        config, spec = run.config() if config is None else config, DataSpec.load(run.spec)
        index.load()  # tells the registry where each part is registered
        task = load_task(config, spec, run.checkpoint)
        return cls(task, build(config["task"]["format"]), Tokenizer.load(run.tokenizer), spec, config, run.checkpoint)

    @property
    def model(self) -> nn.Module:
        return self.task.model

    def predict(self, inputs: str | Row | Iterable[str | Row]) -> list[dict[str, Any]]:
        """One answer for each text or row, in their order, with its `prediction` and what else the task reports.

        A row is a mapping from the columns of the format to values. UserError: an input that the format cannot encode, by its number.
        """
        inputs = [inputs] if isinstance(inputs, (str, dict)) else list(inputs)
        rows = [self.row(each) if isinstance(each, str) else each for each in inputs]
        encoded = [self._encode(row, f"row {number}") for number, row in enumerate(rows, 1)]
        by_length = sorted(range(len(rows)), key=lambda number: self.format.length(encoded[number]))
        answers: dict[int, dict[str, Any]] = {}
        task, generator, device = self.task.eval(), self.generator(), next(self.task.parameters()).device
        with torch.inference_mode():
            for start in range(0, len(by_length), BATCH_ROWS):
                numbers = by_length[start : start + BATCH_ROWS]
                batch = self.format.collate([encoded[number] for number in numbers], self.spec, Random(0))
                batch |= {"row": torch.tensor(numbers), "raw": [rows[number] for number in numbers]}
                answers.update(zip(numbers, task.predict(moved(batch, device), generator), strict=True))
        return [answers[number] for number in range(len(rows))]

    def row(self, text: str) -> Row:
        """The row of one text. UserError: the format of the task does not read it."""
        with error_context('text="..."'):
            return self.format.from_text(text)

    def _encode(self, row: Row, where: str) -> Features:
        try:
            features = self.format.encode(row, self.tokenizer, self.spec)
        except ValueError as error:
            raise UserError(f"{where}: {error}") from error
        if features is None:
            raise UserError(f"{where}: there is nothing in it to predict from: {row}")
        return features

    def generator(self, split: str = "predict", rows: int | None = None) -> Decode:
        """The text generator for a split of so many rows."""
        return make_generator(self.config, self.tokenizer, self.spec, split, rows)


def make_generator(config: Mapping[str, Any], tokenizer: Tokenizer, spec: DataSpec, split: str, rows: int | None = None) -> Decode:
    """The text generator of a task for a split of so many rows; a task that generates no text gets a greedy one that stays unused."""
    options = config["task"]
    strategy = build(options.get("decoding") or {"part": "decoding/greedy"})
    return Decode(strategy, tokenizer.decode, spec.end, options.get(f"{split}_rows"), rows)


def moved(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on a device."""
    return {name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in batch.items()}
