"""A text in, and what is told of it out: the rows of classification."""

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from framework.data.facts import Facts
from framework.data.formats import Batch, Features, Format, Row, Text
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

    def texts(self, row: Row) -> Iterable[str]:
        return [text_of(row, column) for column in self.texts_of_row]

    def learn(self, rows: Iterable[Row]) -> dict[str, Any]:
        return self.target.learn(rows)

    def encode(self, row: Row, tokenizer: Text, facts: Facts) -> Features:
        """ids: begin, tokens, end, at most facts.max_length. truncated: 1 if the text was cut. label: if the row has one."""
        found = self.read(row, tokenizer, facts)
        return found if row.get("label") is None else {**found, **self.target.encode(row, facts)}

    def read(self, row: Row, tokenizer: Text, facts: Facts) -> Features:
        """The text of a row as tokens."""
        begin = [] if facts.begin is None else [facts.begin]
        end = [] if facts.end is None else [facts.end]
        tokens = tokenizer.encode(text_of(row))
        room = facts.max_length - len(begin) - len(end)
        if len(tokens) > room and self.long == "refuse":
            raise ValueError(
                f"the text has {len(tokens)} tokens, the model reads {room} (model.max_length={facts.max_length}); "
                "a larger model.max_length reads it, task.format.long=truncate cuts it"
            )
        ids = begin + tokens[:room] + end
        if not ids:
            raise ValueError("the text is empty")
        return {"ids": ids, "truncated": int(len(tokens) > room)}

    def collate(self, features: Sequence[Features], facts: Facts, random: Random) -> Batch:
        lengths = torch.tensor([len(row["ids"]) for row in features])
        longest = int(lengths.max())
        ids = torch.full((len(features), longest), facts.padding)  # (B, T)
        for row, into in zip(features, ids, strict=True):
            into[: len(row["ids"])] = torch.tensor(row["ids"])
        real: Tensor | None = None if int(lengths.min()) == longest else torch.arange(longest) < lengths[:, None]  # (B, T)
        batch: Batch = {"ids": ids, "real": real}
        if all("label" in row for row in features):
            batch["label"] = self.target.collate([row["label"] for row in features], facts)
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


def text_of(row: Row, column: str = "text") -> str:
    text = row[column]
    if not isinstance(text, str):
        raise ValueError(f"the {column} is {text!r}, of type {type(text).__name__}")
    return text
