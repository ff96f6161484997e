"""Running text, to be continued."""

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import ClassVar

import torch
from torch import Tensor

from framework.data.facts import Facts
from framework.data.formats import Batch, Features, Format, Row, Text
from framework.errors import UserError
from framework.registry import register

from .baseline import order_two
from .builtin import files


@register("format")
class CompletionFormat(Format):
    """Documents of running text; in batches each token is followed by the one to predict.

    end_of_document: put the end token after every document, so that the model learns where texts end.
    builtin_megabytes: the most of the standard library's source that the built-in training part takes.
    """

    columns: ClassVar[tuple[str, ...]] = ("text",)
    stream: ClassVar[bool] = True
    rules: ClassVar[dict[str, str]] = {"builtin_megabytes > 0": "training needs some text"}
    provides: ClassVar[tuple[str, ...]] = ("stream",)

    def __init__(self, end_of_document: bool = True, builtin_megabytes: float = 2.0):
        self.end_of_document, self.builtin_megabytes = end_of_document, builtin_megabytes

    def texts(self, row: Row) -> Iterable[str]:
        return [row["text"]]

    def encode(self, row: Row, tokenizer: Text, facts: Facts) -> Features | None:
        """ids, and the bytes of text that each stands for: the end token for none. A row without a token is dropped."""
        ids = tokenizer.encode(row["text"])
        lengths = tokenizer.byte_lengths(ids)
        if self.end_of_document:
            if facts.end is None:
                raise UserError(
                    "the tokenizer has no end token to mark the end of a document; task.format.end_of_document=false does without"
                )
            ids, lengths = [*ids, facts.end], [*lengths, 0]
        return {"ids": ids, "bytes": lengths} if ids else None

    def collate(self, features: Sequence[Features], facts: Facts, random: Random) -> Batch:
        """ids, targets, bytes: (B, T), padded on the right, where a causal model needs no mask. A row of T + 1 tokens has T targets;
        a row of one token has none, and stands as it is."""
        rows = [row["ids"] for row in features]
        width = max(1, *(len(row) - 1 for row in rows))
        return {
            "ids": pad([row[: max(1, len(row) - 1)] for row in rows], width, facts.padding),
            "targets": pad([row[1:] for row in rows], width, -100),
            "bytes": pad([row["bytes"][1:] for row in features], width, 0),
        }

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """Files of the running Python's own standard library, the same for every seed so that seeds compare."""
        return files(split, self.builtin_megabytes)

    def baseline(self, train: Iterable[Row], test: Iterable[Row]) -> dict[str, float]:
        return {"bits_per_byte": order_two((row["text"] for row in train), (row["text"] for row in test))}


def pad(rows: Sequence[Sequence[int]], width: int, filler: int) -> Tensor:
    """(B, width), filled up on the right."""
    padded = torch.full((len(rows), width), filler)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = torch.as_tensor(row)
    return padded
