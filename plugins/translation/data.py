"""Format of translation: source texts and their translations."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from framework import PairFormat, Row, register

from .builtin import pairs


@register("format")
class TranslationFormat(PairFormat):
    """A source text and its translation, with one vocabulary for both.

    builtin_rows: training pairs of the built-in synthetic English-German data.
    """

    rules: ClassVar[dict[str, str]] = {"builtin_rows >= 1": "builtin_rows must be at least 1"}

    def __init__(self, long: Literal["truncate", "refuse"] = "truncate", builtin_rows: int = 16_000):
        super().__init__(long)
        self.builtin_rows = builtin_rows

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """Synthetic pairs, the same for every seed; no combination of subject, verb and object is in two splits."""
        count = self.builtin_rows if split == "train" else min(1000, self.builtin_rows)
        return pairs(split, count)
