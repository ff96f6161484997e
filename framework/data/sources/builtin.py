"""Built-in rows of a text format as a data source."""

import sys
from collections.abc import Iterator
from typing import Any, ClassVar

from framework.data.fingerprints import code_of
from framework.data.formats import Format
from framework.data.sources.base import SPLITS, LocatedRow, Source
from framework.registry import Part, choice, register


@register("data")
class BuiltinData(Source):
    """Built-in rows of the task, without files or downloads.

    limit: most rows of each split, a random sample in their order (of running text, successive rows); null = all.
    batches: how rows are batched.
    workers: processes that prefetch batches; 0 = none.

    >>> source = BuiltinData(build(compose(["task=translation"])["task"]["format"]), seed=0, limit=1)
    >>> [(sorted(row), place) for row, place in source.rows("train")]  # doctest: +ELLIPSIS
    [(['source', 'target'], 'built-in train rows, row ...')]
    """

    settings_from_rows: ClassVar[bool] = False  # recipes are tuned to these rows

    def __init__(self, format: Format, seed: int, limit: int | None = None, batches: Part = choice("batches", "buckets"), workers: int = 0):
        super().__init__(format, seed, {}, 0.0, 0.0, "random", limit, batches, workers)

    def native_splits(self) -> tuple[str, ...]:
        return SPLITS

    def read(self, split: str) -> Iterator[LocatedRow]:
        for number, row in enumerate(self.format.builtin(split, self.seed), 1):
            yield row, f"built-in {split} rows, row {number}"

    def origin(self, split: str) -> Any:
        return {"split": split, "seed": self.seed, "made by": [code_of(self), code_of(self.format)], "python": sys.version}
