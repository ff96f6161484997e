"""Built-in rows of a text format as a data source."""

from collections.abc import Iterator
from typing import Any, ClassVar

from framework.data.fingerprints import digest
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
        self._origins: dict[str, str] = {}

    def native_splits(self) -> tuple[str, ...]:
        return SPLITS

    def read(self, split: str) -> Iterator[LocatedRow]:
        for number, row in enumerate(self.format.builtin(split, self.seed), 1):
            yield row, f"built-in {split} rows, row {number}"

    def origin(self, split: str) -> Any:
        """A hash of the rows: with most formats they are the same for every seed, and so are tokenizer and encoded rows."""
        if split not in self._origins:
            self._origins[split] = digest([row for row, _ in self.read(split)])
        return self._origins[split]
