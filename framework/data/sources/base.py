"""Where rows come from: one contract for files, the Hugging Face Hub and what a task makes itself."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from random import Random
from typing import Any, Literal

from framework.data.formats import Format, Row
from framework.data.sources.columns import Columns
from framework.errors import UserError
from framework.registry import Part

SPLITS = ("train", "validation", "test")
Found = tuple[Row, str]  # a row and where it was found: "reviews.csv, line 7"


class Source:
    """Reads the splits of a data set one row at a time, as often as it is asked; never holds them in memory.

    A subclass says which splits it has (`given`) and reads them (`read`); the validation part that nobody gave is split
    off here. It imports no torch: mistakes in the data are answered before anything heavy is loaded.
    """

    def __init__(
        self,
        format: Format,
        seed: int,
        columns: Mapping[str, str | int],
        validation_share: float,
        split: Literal["random", "last"],
        limit: int | None,
        batches: Part,
        workers: int,
    ):
        if not 0 <= validation_share < 1:
            raise UserError(f"data.validation_share={validation_share}: a share of the training rows, at least 0 and below 1")
        if limit is not None and limit < 1:
            raise UserError(f"data.limit={limit}: rows of each split, at least 1 (null for all)")
        self.format, self.seed, self.columns = format, seed, Columns(format, columns)
        self.validation_share, self.how, self.limit = validation_share, split, limit
        self.batches, self.workers = batches(), workers
        self._total: int | None = None

    def given(self) -> tuple[str, ...]:
        """The splits that the source has of itself."""
        raise NotImplementedError

    def read(self, split: str) -> Iterator[Found]:
        """All rows of a given split, in order."""
        raise NotImplementedError

    def origin(self, split: str) -> Any:
        """What `read(split)` reads, JSON-able: changes when the rows change."""
        raise NotImplementedError

    def check(self) -> None:
        """Raises a UserError for what can be seen without reading everything."""

    def size(self, row: Row) -> int:
        """What a row counts when the last share is split off."""
        return 1

    def cut(self, row: Row, at: int) -> tuple[Row, Row]:
        """A row of more than size 1, cut in two."""
        raise NotImplementedError

    @property
    def splits(self) -> tuple[str, ...]:
        """train, validation, test: those that exist, in this order."""
        given = self.given()
        return tuple(name for name in SPLITS if name in given or (name == "validation" and self._splits_off))

    @property
    def _splits_off(self) -> bool:
        return "train" in self.given() and "validation" not in self.given() and self.validation_share > 0

    def rows(self, split: str) -> Iterator[Found]:
        """The rows of a split and where each was found."""
        assert split in self.splits, f"{split} is not among {self.splits}"
        if split == "test" or not self._splits_off:
            rows = self.read(split)
        elif self.how == "last":
            rows = self._part_of_last(split)
        else:
            rows = self._part_of_random(split)
        return islice(rows, self.limit)

    def fingerprint(self, split: str) -> dict[str, Any]:
        """Everything that decides which rows `rows(split)` gives, JSON-able."""
        share = [self.validation_share, self.how, self.seed] if self._splits_off and split != "test" else None
        origin = self.origin("train" if share else split)
        return {"source": type(self).__name__, "origin": origin, "columns": self.columns.chosen, "share": share, "limit": self.limit}

    def _part_of_random(self, split: str) -> Iterator[Found]:
        """Selection sampling (Knuth, TAOCP 2, 3.4.2, algorithm S): exactly the share, in one pass, nothing kept in memory."""
        random, total = Random(f"validation {self.seed}"), self._size_of_train()
        left = max(1, round(total * self.validation_share))
        for index, found in enumerate(self.read("train")):
            chosen = random.random() * (total - index) < left
            left -= chosen
            if chosen == (split == "validation"):
                yield found

    def _part_of_last(self, split: str) -> Iterator[Found]:
        """Everything before the border trains; the row that lies across it is cut, where the source can cut rows."""
        border, start = int(self._size_of_train() * (1 - self.validation_share)), 0
        for row, where in self.read("train"):
            end = start + self.size(row)
            if start < border < end:
                before, after = self.cut(row, border - start)
                yield (before if split == "train" else after), where
            elif (end <= border) == (split == "train"):
                yield row, where
            start = end

    def _size_of_train(self) -> int:
        if self._total is None:
            self._total = sum(1 if self.how == "random" else self.size(row) for row, _ in self.read("train"))
            if self._total < 2:
                raise UserError("one training row cannot be split: data.validation=FILE, or data.validation_share=0 for none")
        return self._total


@contextmanager
def blame(where: str | Callable[[], str]) -> Iterator[None]:
    """A format's ValueError about a row becomes the user's error, with the place of the row."""
    try:
        yield
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{where if isinstance(where, str) else where()}: {error}") from error
