"""A small task with a few rows, for the contract tests of tasks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from random import Random
from typing import Any

import torch

from framework import registry
from framework.data.encoding_writer import without_marks
from framework.data.formats import Batch, BatchRows, Format, Row
from framework.data.loader import BatchDataset
from framework.data.module import prepare
from framework.data.sources.base import LocatedRow
from framework.data.sources.builtin import BuiltinData
from framework.generation.engine import Decode
from framework.registry import Choice, Part, broken
from framework.tasks.base import Result, Task
from framework.tasks.capabilities import WithReference
from framework.tasks.frozen import FrozenTask
from framework.testing.promise import BrokenPromise

FAMILIES = ("encoder_only", "decoder_only", "encoder_decoder")
REFERENCE = 2  # seed of the task that a task is compared with
ROWS = 9  # in batches of four for each of two processes, the last batch has no row for one of them


class Rows(BuiltinData):
    """The same few rows in every split."""

    given_rows: Sequence[Row] = ()

    def read(self, split: str) -> Iterator[LocatedRow]:
        for number, row in enumerate(self.given_rows):
            yield row, f"row {number}"

    def origin(self, split: str) -> Any:
        return list(self.given_rows)


class ToyTask:
    """A task `task/NAME`, or a Part, with its format, tokenizer, rows and model.

    rows: of its format; None = the first built-in ones. model: None = the first family that the rules of task and format allow.
    Weights are in float64 and large, so that every dependence is visible.
    """

    def __init__(self, task: Part | str, rows: Sequence[Row] | None = None, model: Part | None = None, max_length: int = 128):
        self.part = Part(task) if isinstance(task, str) else task
        if issubclass(self.part.cls, WithReference):
            self.part = Part(self.part.cls, **{"reference": "another toy", **self.part.values})
        self.format = self._format()
        rows = list(islice(self.format.builtin("train", 0), ROWS)) if rows is None else list(rows)
        source = Rows(self.format, seed=0, batches=Part("batches/rows", rows=4))
        source.given_rows = rows
        self.prepared = prepare(source, Part("tokenizer/bytes")(), self.format, max_length)
        self.spec, self.tokenizer, self.rows = self.prepared.spec, self.prepared.tokenizer, rows
        self.model = model or self._model(max_length)
        self.examples = self.prepared.examples("test", shuffle=False)
        self.count = min(len(self.examples.lengths), 2 * ROWS)
        self.decode = Decode(Part("decoding/greedy", max_new_tokens=8)(), self.tokenizer.decode, self.spec.end, None, self.count)

    def task(self, seed: int = 0) -> Task:
        """A new task in evaluation mode."""
        torch.manual_seed(seed)
        task: Task = self.part(model=self.model, spec=self.spec, format=self.format).double().eval()
        if isinstance(task, WithReference) and seed != REFERENCE:
            task.frozen = FrozenTask(lambda: self.task(REFERENCE))
        return task

    def evaluate(self, task: Task, batch: Batch) -> tuple[Result, list[dict[str, Any]]]:
        with torch.inference_mode():
            return task.evaluate(batch, self.decode)

    def predict(self, task: Task, batch: Batch) -> list[dict[str, Any]]:
        with torch.inference_mode():
            return task.predict(batch, self.decode)

    def batch(self, numbers: Sequence[int] | None = None, padding: int | None = None) -> Batch:
        """The batch of some examples, as in evaluation; None = all. padding: another padding token."""
        spec = self.spec if padding is None else replace(self.spec, padding=padding)
        dataset = BatchDataset(self.examples, self.format, spec, seed=0, raw=True)
        return dataset[(0, 0, list(range(self.count) if numbers is None else numbers), False)]

    def batch_to_predict(self, rows: Sequence[Row]) -> Batch | None:
        """The batch of rows without targets, as in prediction; None where the format drops one."""
        features = [self.format.encode(row, self.tokenizer, self.spec) for row in rows]
        encoded = [row for row in features if row is not None]
        if len(encoded) < len(rows):
            return None
        batch = self.format.collate([without_marks(row)[0] for row in encoded], self.spec, Random(0))
        return BatchRows(list(range(len(rows))), list(rows)).added_to(batch)

    def _format(self) -> Format:
        default = getattr(self.part.cls, "format", None)
        chosen = registry.as_part(self.part.values.get("format", default))
        if not isinstance(chosen, Part) or (isinstance(chosen, Choice) and chosen.name is None):
            raise BrokenPromise(f"a task has a format: {registry.describe(self.part.cls)} has none (format = choice('format', NAME))")
        fields = registry.signature(self.part.cls).fields.items()
        slots = {name: value for name, value in fields if isinstance(value, Choice) and value.name}
        followed = {name: registry.as_part(value) for name, value in self.part.values.items()}  # options that its slots follow
        return chosen(**slots | followed)

    def _model(self, max_length: int) -> Part:
        """The first family that the rules allow. BrokenPromise: none, with a reason for each."""
        reasons = {}
        for family in FAMILIES:
            model = Part(f"model/{family}", dim=16, num_heads=2, num_layers=2, dropout=0.0, max_length=max_length, initial_std=0.3)
            around = {"provided": traits(model) | traits(Part(type(self.format), **vars(self.format)))}
            options = {name: value for name, value in registry.signature(self.part.cls).fields.items() if not isinstance(value, Part)}
            reasons[family] = broken(self.part.cls.rules, {**options, **self.part.values, **around})  # type: ignore[attr-defined]
            reasons[family] += broken(type(self.format).rules, {**vars(self.format), **around})
            if not reasons[family]:
                return model
        raise BrokenPromise(f"some model suits the task: {'; '.join(f'{name}: {why[0]}' for name, why in reasons.items())}")


def traits(part: Part, around: Mapping[str, Any] | None = None) -> set[str]:
    """The traits that a part provides with its values, and with its defaults for the other options. around: options of its owners."""
    provides: Any = getattr(part.cls, "provides", ())
    if not isinstance(provides, Mapping):
        return set(provides)
    values = {**(around or {}), **registry.signature(part.cls).fields, **part.values}
    return {trait for trait, condition in provides.items() if not broken({condition: ""}, values)}
