"""Pairs of a source and its translation."""

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import ClassVar, Literal

import torch
from torch import Tensor

from framework.data.facts import Facts
from framework.data.formats import Batch, Features, Format, Row, Text
from framework.errors import UserError
from framework.registry import register

from .builtin import pairs


@register("format")
class TranslationFormat(Format):
    """A source text and its translation, with one vocabulary for both.

    long: what happens to a text that is longer than the model reads, `truncate` it or `refuse` the row.
    builtin_rows: pairs in the training part of the built-in synthetic English-German data.
    """

    columns: ClassVar[tuple[str, ...]] = ("source", "target")
    optional: ClassVar[tuple[str, ...]] = ("target",)
    rules: ClassVar[dict[str, str]] = {"builtin_rows >= 1": "training needs at least one pair"}

    def __init__(self, long: Literal["truncate", "refuse"] = "truncate", builtin_rows: int = 16_000):
        self.long, self.builtin_rows = long, builtin_rows

    def texts(self, row: Row) -> Iterable[str]:
        return [row["source"], row["target"]]

    def encode(self, row: Row, tokenizer: Text, facts: Facts) -> Features:
        """source, and where the row has one target: ids with the end token last. truncated: 1 if a text was cut."""
        columns = [column for column in self.columns if row.get(column) is not None]
        features: Features = {"truncated": 0}
        for column in columns:
            if facts.end is None:
                raise UserError("translation needs a tokenizer with an end token: without it no written text would end")
            ids = tokenizer.encode(row[column])
            room = facts.max_length - 1  # for the end token
            if len(ids) > room:
                if self.long == "refuse":
                    raise ValueError(
                        f"{column} has {len(ids)} tokens, the model reads {room} and an end token (model.max_length={facts.max_length}); "
                        "a larger model.max_length reads it, task.format.long=truncate cuts it"
                    )
                features["truncated"] = 1
            features[column] = [*ids[:room], facts.end]
        return features

    def length(self, features: Features) -> int:
        return max(len(features["source"]), len(features.get("target", ())))

    def collate(self, features: Sequence[Features], facts: Facts, random: Random) -> Batch:
        source = [row["source"] for row in features]
        even = len({len(ids) for ids in source}) == 1
        begin = facts.padding if facts.begin is None else facts.begin  # T5 has no begin token and takes padding (Raffel et al. 2020)
        batch: Batch = {
            "source": pad(source, facts.padding),  # (B, S)
            "source_real": None if even else pad([[1] * len(ids) for ids in source], 0).bool(),
        }
        if all("target" in row for row in features):
            labels = [row["target"] for row in features]
            batch["target"] = pad([[begin, *ids[:-1]] for ids in labels], facts.padding)  # (B, T)
            batch["labels"] = pad(labels, -100)
        else:
            batch["target"] = torch.full((len(features), 1), begin)
        return batch

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """Synthetic pairs, the same for every seed so that seeds compare; no combination of subject, verb and object is in two splits."""
        count = self.builtin_rows if split == "train" else min(1000, self.builtin_rows)
        return pairs(split, count)

    def baseline(self, train: Iterable[Row], test: Iterable[Row]) -> dict[str, float]:
        from .baseline import word_by_word  # its metrics are needed by nobody who only encodes

        return word_by_word(train, test)


def pad(rows: Sequence[Sequence[int]], filler: int) -> Tensor:
    """(B, longest), filled up on the right."""
    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows])
