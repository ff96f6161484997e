"""Format of summarization: documents and their summaries."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from framework import PairFormat, Row, register

from .builtin import rows


@register("format")
class SummarizationFormat(PairFormat):
    """A document and its summary, or a list of alternative summaries.

    builtin_lines: first lines of each function in the built-in data.
    """

    columns: ClassVar[tuple[str, ...]] = ("document", "summary")
    optional: ClassVar[tuple[str, ...]] = ("summary",)
    rules: ClassVar[dict[str, str]] = {"builtin_lines >= 1": "builtin_lines must be at least 1"}

    def __init__(self, long: Literal["truncate", "refuse"] = "truncate", builtin_lines: int = 3):
        super().__init__(long)
        self.builtin_lines = builtin_lines

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """Functions of the standard library and the first sentences of their docstrings, the same for every seed."""
        return rows(split, self.builtin_lines)
