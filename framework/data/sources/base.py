"""Base class of data sources: files, the Hugging Face Hub, built-in rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from random import Random
from typing import Any, ClassVar, Literal

from framework.data.formats import Format, Row
from framework.data.sources.columns import Columns, Selection
from framework.errors import UserError
from framework.registry import Part, build

SPLITS = ("train", "validation", "test")
LocatedRow = tuple[Row, str]  # a row and its place: "reviews.csv, line 7"


class Source:
    """Data source: iterates over the rows of each split, any number of times, without holding them in memory.

    A subclass names its splits (`native_splits`) and reads them (`read`). This class takes missing validation and test splits from the
    training rows. Sources do not import torch, so that errors in the data are reported before it is loaded.

    >>> config = compose(["task=classification", "data=builtin", "data.limit=3"])
    >>> source = build(config["data"], format=build(config["task"]["format"]), seed=0)
    >>> isinstance(source, Source), source.splits, len(list(source.rows("train")))
    (True, ('train', 'validation', 'test'), 3)
    """

    rules: ClassVar[dict[str, str]] = {"workers >= 0": "workers must not be negative; 0 = the rows are read in the training process"}

    def __init__(
        self,
        format: Format,
        seed: int,
        columns: Mapping[str, Selection],
        validation_share: float,
        test_share: float,
        split: Literal["random", "last"],
        limit: int | None,
        batches: Part,
        workers: int,
        join: Mapping[str, str] | None = None,
    ):
        self.shares = {"validation": validation_share, "test": test_share}
        for name, share in self.shares.items():
            if not 0 <= share < 1:
                raise UserError(f"data.{name}_share={share} must be in [0, 1): a share of the training rows")
        if validation_share + test_share >= 1:
            raise UserError(f"data.validation_share={validation_share} and data.test_share={test_share} must sum to less than 1")
        if limit is not None and limit < 1:
            raise UserError(f"data.limit={limit} must be at least 1, or null for all rows of each split")
        self.format, self.seed, self.columns = format, seed, Columns(format, columns, join)
        self.split_mode, self.limit = split, limit
        self.batches, self.workers = batches(), workers
        self._total: int | None = None

    def native_splits(self) -> tuple[str, ...]:
        """Splits that the data itself has."""
        raise NotImplementedError

    def read(self, split: str) -> Iterator[LocatedRow]:
        """Iterate over all rows of a native split, in order."""
        raise NotImplementedError

    def origin(self, split: str) -> Any:
        """A JSON-able value that changes when the rows of `read(split)` change; caches are keyed by it."""
        raise NotImplementedError

    def check(self) -> None:
        """UserError: the options or the first rows are invalid."""

    def row_size(self, row: Row) -> int:
        """Size of a row when data.split=last measures shares."""
        return 1

    def split_row(self, row: Row, at: int) -> tuple[Row, Row]:
        """Split a row of size > 1 in two."""
        raise NotImplementedError

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of all splits, in the order of SPLITS."""
        names = {*self.native_splits(), *self._derived_splits}
        return tuple(name for name in SPLITS if name in names)

    @property
    def _derived_splits(self) -> dict[str, float]:
        """Splits taken from the training rows -> their shares."""
        native = self.native_splits()
        return {name: share for name, share in self.shares.items() if "train" in native and name not in native and share > 0}

    def rows(self, split: str) -> Iterator[LocatedRow]:
        """Iterate over the rows of a split, each with its place."""
        assert split in self.splits, f"{split} is not among {self.splits}"
        derived = self._derived_splits
        if not derived or split not in ("train", *derived):
            rows = self.read(split)
        elif self.split_mode == "last":
            rows = self._last_rows(split)
        else:
            rows = self._random_rows(split)
        return islice(rows, self.limit)

    def fingerprint(self, split: str) -> dict[str, Any]:
        """A JSON-able value that changes when the rows of `rows(split)` change."""
        derived = self._derived_splits
        share = [derived, self.split_mode, self.seed] if derived and split in ("train", *derived) else None
        origin = self.origin("train" if share else split)
        return {"source": type(self).__name__, "origin": origin, "columns": self.columns.selections, "share": share, "limit": self.limit}

    def _random_rows(self, split: str) -> Iterator[LocatedRow]:
        """Selection sampling (Knuth, TAOCP 2, 3.4.2, algorithm S): exact shares in one pass, without holding rows in memory.

        The test split is drawn first, the same for every seed, so that results of different seeds are comparable.
        """
        total = self._train_size()
        counts = {name: max(1, round(total * share)) for name, share in self._derived_splits.items()}
        draws = []
        for name, random in (("test", Random("test")), ("validation", Random(f"validation {self.seed}"))):
            if name in counts:
                draws.append((name, _selected(random, counts[name], total)))
                total -= counts[name]
        for row in self.read("train"):
            if split == next((name for name, draw in draws if next(draw)), "train"):
                yield row

    def _last_rows(self, split: str) -> Iterator[LocatedRow]:
        """Consecutive parts: train, validation, test. A row across a border is split in two if the source can split rows."""
        total, derived = self._train_size(), self._derived_splits
        validation = int(total * (1 - derived.get("validation", 0) - derived.get("test", 0)))
        test = int(total * (1 - derived.get("test", 0)))
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

    def _train_size(self) -> int:
        if self._total is None:
            self._total = sum(1 if self.split_mode == "random" else self.row_size(row) for row, _ in self.read("train"))
            if self._total <= len(self._derived_splits):
                name = next(iter(self._derived_splits))
                rows = "one training row" if self._total == 1 else f"{self._total} training rows"
                raise UserError(f"{rows} cannot be split: set data.{name}=FILE, or data.{name}_share=0 for no {name} split")
        return self._total


def check_early(node: Mapping[str, Any], columns: Sequence[str], optional: Sequence[str], seed: int = 0) -> None:
    """Build the source of a config node of kind `data` and check it, before the task's code and torch are loaded.

    UserError: as `Source.check`. columns, optional: those of the task's text format, from the catalogue; checking needs nothing else of it.
    """
    declared = type("DeclaredFormat", (Format,), {"columns": tuple(columns), "optional": tuple(optional)})
    build(node, format=declared(), seed=seed).check()


def _selected(random: Random, count: int, total: int) -> Iterator[bool]:
    """Whether each of `total` items is one of the `count` drawn at random."""
    while True:
        chosen = random.random() * total < count
        count, total = count - chosen, total - 1
        yield chosen


@contextmanager
def error_context(where: str | Callable[[], str]) -> Iterator[None]:
    """Turn a ValueError about a row into a UserError that begins with the place of the row."""
    try:
        yield
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{where if isinstance(where, str) else where()}: {error}") from error
