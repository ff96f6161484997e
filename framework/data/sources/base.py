"""Where rows come from: one contract for files, the Hugging Face Hub and what a task makes itself."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from random import Random
from typing import Any, Literal

from framework.data.formats import Format, Row
from framework.data.sources.columns import Chosen, Columns
from framework.errors import UserError
from framework.registry import Part

SPLITS = ("train", "validation", "test")
LocatedRow = tuple[Row, str]  # a row and where it was found: "reviews.csv, line 7"


class Source:
    """Reads the splits of a data set one row at a time, as often as it is asked; never holds them in memory.

    A subclass says which splits it has (`given`) and reads them (`read`); the validation and test parts that nobody gave are
    split off the training rows here. It imports no torch: mistakes in the data are answered before anything heavy is loaded.
    """

    def __init__(
        self,
        format: Format,
        seed: int,
        columns: Mapping[str, Chosen],
        validation_share: float,
        test_share: float,
        split: Literal["random", "last"],
        limit: int | None,
        batches: Part,
        workers: int,
    ):
        self.shares = {"validation": validation_share, "test": test_share}
        for name, share in self.shares.items():
            if not 0 <= share < 1:
                raise UserError(f"data.{name}_share={share}: a share of the training rows, at least 0 and below 1")
        if validation_share + test_share >= 1:
            raise UserError(f"data.validation_share={validation_share} and data.test_share={test_share} leave nothing to train on")
        if limit is not None and limit < 1:
            raise UserError(f"data.limit={limit}: rows of each split, at least 1 (null for all)")
        self.format, self.seed, self.columns = format, seed, Columns(format, columns)
        self.how, self.limit = split, limit
        self.batches, self.workers = batches(), workers
        self._total: int | None = None

    def native_splits(self) -> tuple[str, ...]:
        """The splits that the source has of itself."""
        raise NotImplementedError

    def read(self, split: str) -> Iterator[LocatedRow]:
        """All rows of a given split, in order."""
        raise NotImplementedError

    def origin(self, split: str) -> Any:
        """What `read(split)` reads, JSON-able: changes when the rows change."""
        raise NotImplementedError

    def check(self) -> None:
        """Raises a UserError for what can be seen without reading everything."""

    def row_size(self, row: Row) -> int:
        """What a row counts when the last share is split off."""
        return 1

    def split_row(self, row: Row, at: int) -> tuple[Row, Row]:
        """A row of more than size 1, cut in two."""
        raise NotImplementedError

    @property
    def splits(self) -> tuple[str, ...]:
        """train, validation, test: those that exist, in this order."""
        there = {*self.native_splits(), *self._cut_off}
        return tuple(name for name in SPLITS if name in there)

    @property
    def _cut_off(self) -> dict[str, float]:
        """The splits that are taken from the training rows, and their shares of them."""
        given = self.native_splits()
        return {name: share for name, share in self.shares.items() if "train" in given and name not in given and share > 0}

    def rows(self, split: str) -> Iterator[LocatedRow]:
        """The rows of a split and where each was found."""
        assert split in self.splits, f"{split} is not among {self.splits}"
        cut_off = self._cut_off
        if not cut_off or split not in ("train", *cut_off):
            rows = self.read(split)
        elif self.how == "last":
            rows = self._part_of_last(split)
        else:
            rows = self._part_of_random(split)
        return islice(rows, self.limit)

    def fingerprint(self, split: str) -> dict[str, Any]:
        """Everything that decides which rows `rows(split)` gives, JSON-able."""
        cut_off = self._cut_off
        share = [cut_off, self.how, self.seed] if cut_off and split in ("train", *cut_off) else None
        origin = self.origin("train" if share else split)
        return {"source": type(self).__name__, "origin": origin, "columns": self.columns.chosen, "share": share, "limit": self.limit}

    def _part_of_random(self, split: str) -> Iterator[LocatedRow]:
        """Selection sampling (Knuth, TAOCP 2, 3.4.2, algorithm S): exactly the shares, in one pass, nothing kept in memory.

        The test part is drawn first and is the same for every seed, so that seeds compare.
        """
        total = self._size_of_train()
        counts = {name: max(1, round(total * share)) for name, share in self._cut_off.items()}
        draws = []
        for name, random in (("test", Random("test")), ("validation", Random(f"validation {self.seed}"))):
            if name in counts:
                draws.append((name, _selected(random, counts[name], total)))
                total -= counts[name]
        for found in self.read("train"):
            if split == next((name for name, draw in draws if next(draw)), "train"):
                yield found

    def _part_of_last(self, split: str) -> Iterator[LocatedRow]:
        """First what trains, then validation, then test; a row that lies across a border is cut, where the source can cut rows."""
        total, cut_off = self._size_of_train(), self._cut_off
        validation = int(total * (1 - cut_off.get("validation", 0) - cut_off.get("test", 0)))
        test = int(total * (1 - cut_off.get("test", 0)))
        first, last = {"train": (0, validation), "validation": (validation, test), "test": (test, total)}[split]
        start = 0
        for row, where in self.read("train"):
            end = start + self.row_size(row)
            if end > last > start:
                row = self.split_row(row, last - start)[0]
            if end > first > start:
                row = self.split_row(row, first - start)[1]
            if max(start, first) < min(end, last):
                yield row, where
            start = end

    def _size_of_train(self) -> int:
        if self._total is None:
            self._total = sum(1 if self.how == "random" else self.row_size(row) for row, _ in self.read("train"))
            if self._total <= len(self._cut_off):
                name = next(iter(self._cut_off))
                rows = "one training row" if self._total == 1 else f"{self._total} training rows"
                raise UserError(f"{rows} cannot be split: data.{name}=FILE, or data.{name}_share=0 for none")
        return self._total


def _selected(random: Random, count: int, total: int) -> Iterator[bool]:
    """Whether each of `total` things is among the `count` that are drawn."""
    while True:
        chosen = random.random() * total < count
        count, total = count - chosen, total - 1
        yield chosen


@contextmanager
def error_context(where: str | Callable[[], str]) -> Iterator[None]:
    """A format's ValueError about a row becomes the user's error, with the place of the row."""
    try:
        yield
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{where if isinstance(where, str) else where()}: {error}") from error
