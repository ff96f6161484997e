"""Format of text pairs: does one follow from the other, are they similar?"""

from collections.abc import Iterator, Sequence
from random import Random
from typing import ClassVar

import torch

from framework import Batch, DataSpec, Features, Row, TextTokenizer, UserError, register

from .builtin_functions import halves
from .data import ClassificationFormat
from .target import Words
from .words import PairWords

BETWEEN = " ||| "  # separates two texts that are typed, or shown, as one


@register("format")
class PairsFormat(ClassificationFormat):
    """Two texts and their target, as one sequence: begin, first, end, second, end. Devlin et al. 2019, figure 1, https://arxiv.org/abs/1810.04805

    A model with segment embeddings (model.segments=2) gets the segment of each token.

    long: truncate the longer text of a pair of more tokens than the model takes, or refuse the pair.
    """

    columns: ClassVar[tuple[str, ...]] = ("text", "second", "label")
    text_columns: ClassVar[tuple[str, ...]] = ("text", "second")
    rules: ClassVar[dict[str, str]] = {
        "data_part != 'builtin' or target_part == 'label'": "the built-in pairs have one label each; bring your own pairs with data=files",
    }

    def from_text(self, text: str) -> Row:
        first, between, second = text.partition(BETWEEN.strip())
        if not between:
            raise UserError(f'two texts are separated by {BETWEEN.strip()}: text="first{BETWEEN}second"; this is {text!r}')
        return {"text": first.strip(), "second": second.strip()}

    def encode_text(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features:
        """ids, and second: the position of the second text in them."""
        if spec.end is None:
            raise UserError(
                "two texts need an end token between them, and this tokenizer has none; tokenizer=wordpiece|bpe|unigram has one"
            )
        begin = [] if spec.begin is None else [spec.begin]
        room = spec.max_length - len(begin) - 2
        first, second = (tokenizer.encode(text, at_least=room + 1) for text in self.tokenizer_texts(row))
        if len(first) + len(second) > room and self.long == "refuse":
            raise ValueError(
                f"the texts have at least {len(first)} and {len(second)} tokens, the model takes {room} "
                f"(model.max_length={spec.max_length}); choose a larger model.max_length, or task.format.long=truncate"
            )
        kept = shortened(len(first), len(second), room)
        start = [*begin, *first[: kept[0]], spec.end]
        ids = [*start, *second[: kept[1]], spec.end]
        return {"ids": ids, "second": len(start), "@truncated": (kept != (len(first), len(second)))}

    def collate(self, features: Sequence[Features], spec: DataSpec, random: Random) -> Batch:
        """Also segments (B, T): 0 in the first text, 1 in the second."""
        batch = super().collate(features, spec, random)
        batch["segments"] = (torch.arange(batch["ids"].shape[1]) >= batch.pop("second")[:, None]).long()
        return batch

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """Halves of functions of Python's standard library: which is the upper one?"""
        for first, second, order in halves(split):
            yield {"text": first, "second": second, "label": order}

    def words(self, row: Row) -> Words:
        """Those of both texts, and what they have in common."""
        return PairWords(*self.tokenizer_texts(row))


def shortened(first: int, second: int, room: int) -> tuple[int, int]:
    """The lengths of two texts truncated to `room` tokens: first the longer one, until both are equal."""
    over = max(0, first + second - room)
    longer = max(first, second) - min(first, second)
    if over <= longer:
        return (first - over, second) if first > second else (first, second - over)
    half = room // 2
    return room - half, half
