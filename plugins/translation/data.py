"""Pairs of a source and its translation."""

from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal

from framework.data.formats import Row
from framework.data.pairs import PairFormat
from framework.registry import register

from .builtin import pairs


@register("format")
class TranslationFormat(PairFormat):
    """A source text and its translation, with one vocabulary for both.

    long: what happens to a text that is longer than the model reads, `truncate` it or `refuse` the row.
    builtin_rows: pairs in the training part of the built-in synthetic English-German data.
    """

    rules: ClassVar[dict[str, str]] = {"builtin_rows >= 1": "training needs at least one pair"}

    def __init__(self, long: Literal["truncate", "refuse"] = "truncate", builtin_rows: int = 16_000):
        super().__init__(long)
        self.builtin_rows = builtin_rows

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """Synthetic pairs, the same for every seed so that seeds compare; no combination of subject, verb and object is in two splits."""
        count = self.builtin_rows if split == "train" else min(1000, self.builtin_rows)
        return pairs(split, count)

    def baseline(self, train: Iterable[Row], test: Iterable[Row]) -> dict[str, float]:
        from .baseline import word_by_word  # its metrics are needed by nobody who only encodes

        return word_by_word(train, test)
