"""A text in, and what is told of it out: the rows of classification."""

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from framework.data.formats import Batch, Features, Format, Row, TextTokenizer, text_of
from framework.data.spec import DataSpec
from framework.registry import Part, choice, register

from . import label as default_target  # noqa: F401 - registers what the slot holds when nobody chooses
from .baseline import features
from .target import Target, Words


@register("format")
class ClassificationFormat(Format):
    """A text and what is told of it.

    long: what to do with a text of more tokens than the model reads: cut its end off, or refuse it.
    target: what is told of it; the task's own unless another is chosen.
    """

    columns: ClassVar[tuple[str, ...]] = ("text", "label")
    optional: ClassVar[tuple[str, ...]] = ("label",)
    texts_of_row: ClassVar[tuple[str, ...]] = ("text",)

    def __init__(self, long: Literal["truncate", "refuse"] = "truncate", target: Part = choice("target", "label", follows="target")):
        self.long = long
        self.target: Target = target()

    def tokenizer_texts(self, row: Row) -> Iterable[str]:
        return [text_of(row, column) for column in self.texts_of_row]

    def fit(self, rows: Iterable[Row]) -> dict[str, Any]:
        return self.target.fit(rows)

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features:
        """ids: begin, tokens, end, at most spec.max_length. truncated: 1 if the text was cut. label: if the row has one."""
        found = self.read(row, tokenizer, spec)
        return found if row.get("label") is None else {**found, **self.target.encode(row, spec)}

    def read(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features:
        """The text of a row as tokens."""
        begin = [] if spec.begin is None else [spec.begin]
        end = [] if spec.end is None else [spec.end]
        tokens = tokenizer.encode(text_of(row))
        room = spec.max_length - len(begin) - len(end)
        if len(tokens) > room and self.long == "refuse":
            raise ValueError(
                f"the text has {len(tokens)} tokens, the model reads {room} (model.max_length={spec.max_length}); "
                "a larger model.max_length reads it, task.format.long=truncate cuts it"
            )
        ids = begin + tokens[:room] + end
        if not ids:
            raise ValueError("the text is empty")
        return {"ids": ids, "truncated": int(len(tokens) > room)}

    def collate(self, features: Sequence[Features], spec: DataSpec, random: Random) -> Batch:
        lengths = torch.tensor([len(row["ids"]) for row in features])
        longest = int(lengths.max())
        ids = torch.full((len(features), longest), spec.padding)  # (B, T)
        for row, into in zip(features, ids, strict=True):
            into[: len(row["ids"])] = torch.tensor(row["ids"])
        padding_mask: Tensor | None = None if int(lengths.min()) == longest else torch.arange(longest) < lengths[:, None]  # (B, T)
        batch: Batch = {"ids": ids, "padding_mask": padding_mask}
        if all("label" in row for row in features):
            batch["label"] = self.target.collate([row["label"] for row in features], spec)
        return batch

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """What the target brings along. The split does not depend on the seed."""
        return self.target.builtin(split)

    def baseline(self, train: Iterable[Row], test: Iterable[Row]) -> dict[str, float]:
        """What a simple method makes of words and word pairs."""
        seen, asked = (((self.words(row), self.target.value(row)) for row in rows) for rows in (train, test))
        return self.target.baseline(seen, asked)

    def words(self, row: Row) -> Words:
        return features(text_of(row))
