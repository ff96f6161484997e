"""Documents and what they say in short."""

from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal

from framework.data.formats import Row
from framework.data.pairs import PairFormat
from framework.registry import register

from .builtin import rows


@register("format")
class SummarizationFormat(PairFormat):
    """A document and its summary, or a list of summaries that are all right.

    long: what happens to a text that is longer than the model reads, `truncate` it or `refuse` the row.
    builtin_lines: of each function in the built-in data, its first lines.
    """

    columns: ClassVar[tuple[str, ...]] = ("document", "summary")
    optional: ClassVar[tuple[str, ...]] = ("summary",)

    rules: ClassVar[dict[str, str]] = {"builtin_lines >= 1": "a function has its name in the first line"}

    def __init__(self, long: Literal["truncate", "refuse"] = "truncate", builtin_lines: int = 3):
        super().__init__(long)
        self.builtin_lines = builtin_lines

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """Functions of the standard library and the first sentences of their docstrings, the same for every seed."""
        return rows(split, self.builtin_lines)

    def baseline(self, train: Iterable[Row], test: Iterable[Row]) -> dict[str, float]:
        from .baseline import extracts  # its measure is needed by nobody who only encodes

        return extracts(train, test)
