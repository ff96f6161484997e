"""A task at toy size, with a few rows of its own: what the promises of tasks are held on."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from random import Random
from typing import Any

import torch

from framework import registry
from framework.data.formats import Batch, Format, Row
from framework.data.loader import BatchDataset
from framework.data.module import prepare
from framework.data.sources.base import LocatedRow
from framework.data.sources.builtin import BuiltinData
from framework.generation.engine import Decode
from framework.registry import Choice, Part, broken
from framework.tasks.base import Task
from framework.testing.promise import BrokenPromise

FAMILIES = ("encoder_only", "decoder_only", "encoder_decoder")
ROWS = 9  # in batches of four for each of two ranks the last batch leaves one rank without a row


class Rows(BuiltinData):
    """The same few rows as every split."""

    given_rows: Sequence[Row] = ()

    def read(self, split: str) -> Iterator[LocatedRow]:
        for number, row in enumerate(self.given_rows):
            yield row, f"row {number}"

    def origin(self, split: str) -> Any:
        return list(self.given_rows)


class ToyTask:
    """What it takes to build a task of kind `task/NAME`, or of a Part of one, and to feed it.

    rows: of its format; None = the first built-in ones. model: null = the first family that the task's and the format's rules let pass.
    Weights are in float64 and large, so that whatever a row depends on shows.
    """

    def __init__(self, task: Part | str, rows: Sequence[Row] | None = None, model: Part | None = None, max_length: int = 128):
        self.part = Part(task) if isinstance(task, str) else task
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
        """A fresh task, in evaluation mode."""
        torch.manual_seed(seed)
        return self.part(model=self.model, spec=self.spec, format=self.format).double().eval()

    def batch(self, numbers: Sequence[int] | None = None, number: int = 0, padding: int | None = None) -> Batch:
        """The batch of some examples (all, if nobody says which), as evaluation gets it. padding: the id that fills up."""
        spec = self.spec if padding is None else replace(self.spec, padding=padding)
        dataset = BatchDataset(self.examples, self.format, spec, seed=0, raw=True)
        return dataset[(0, number, list(range(self.count) if numbers is None else numbers), False)]

    def asked(self, rows: Sequence[Row]) -> Batch | None:
        """The batch of rows that somebody wants to know of; None where the format says of one that it holds nothing."""
        features = [self.format.encode(row, self.tokenizer, self.spec) for row in rows]
        whole = [each for each in features if each is not None]
        if len(whole) < len(rows):
            return None
        batch = self.format.collate([{k: v for k, v in each.items() if k != "truncated"} for each in whole], self.spec, Random(0))
        return batch | {"row": torch.arange(len(rows)), "raw": list(rows)}

    @property
    def noisy(self) -> bool:
        """Whether `collate` draws something at random: then a batch is not the sum of its rows."""
        return not _equal(self.batch(number=0), self.batch(number=1))

    def _format(self) -> Format:
        default = getattr(self.part.cls, "format", None)
        chosen = registry.as_part(self.part.values.get("format", default))
        if not isinstance(chosen, Part) or (isinstance(chosen, Choice) and chosen.name is None):
            raise BrokenPromise(f"a task has a format: {registry.describe(self.part.cls)} says none (format = choice('format', NAME))")
        fields = registry.signature(self.part.cls).fields.items()
        slots = {name: value for name, value in fields if isinstance(value, Choice) and value.name}
        return chosen(**slots | {name: registry.as_part(value) for name, value in self.part.values.items()})  # what its slots follow

    def _model(self, max_length: int) -> Part:
        """UserError is what the last family's refusal would be; so it is said here which ones were tried."""
        reasons = {}
        for family in FAMILIES:
            model = Part(f"model/{family}", dim=16, num_heads=2, num_layers=2, dropout=0.0, max_length=max_length, initial_std=0.3)
            around = {"provided": traits(model) | traits(Part(type(self.format), **vars(self.format)))}
            mine = {name: value for name, value in registry.signature(self.part.cls).fields.items() if not isinstance(value, Part)}
            reasons[family] = broken(self.part.cls.rules, {**mine, **self.part.values, **around})  # type: ignore[attr-defined]
            reasons[family] += broken(type(self.format).rules, {**vars(self.format), **around})
            if not reasons[family]:
                return model
        raise BrokenPromise(f"some model suits the task: {'; '.join(f'{name}: {why[0]}' for name, why in reasons.items())}")


def traits(part: Part) -> set[str]:
    """The traits that a part provides with its values, and with its defaults for the other options."""
    provides: Any = part.cls.provides  # type: ignore[attr-defined]
    if not isinstance(provides, Mapping):
        return set(provides)
    values = {**registry.signature(part.cls).fields, **part.values}
    return {trait for trait, condition in provides.items() if not broken({condition: ""}, values)}


def _equal(one: Batch, other: Batch) -> bool:
    tensors = {name: value for name, value in one.items() if isinstance(value, torch.Tensor)}
    with contextlib.suppress(KeyError):
        return all(value.shape == other[name].shape and bool((value == other[name]).all()) for name, value in tensors.items())
    return False
