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
    """

    columns: ClassVar[tuple[str, ...]] = ("document", "summary")
    optional: ClassVar[tuple[str, ...]] = ("summary",)

    def __init__(self, long: Literal["truncate", "refuse"] = "truncate"):
        super().__init__(long)

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """Functions of the standard library and the first sentences of their docstrings, the same for every seed."""
        return rows(split)

    def baseline(self, train: Iterable[Row], test: Iterable[Row]) -> dict[str, float]:
        from .baseline import extracts  # its measure is needed by nobody who only encodes

        return extracts(train, test)
