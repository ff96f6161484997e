"""Base class of data sources: files, the Hugging Face Hub, built-in rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from framework.data.formats import Format, Row
from framework.data.sources.columns import Columns, Selection
from framework.errors import UserError
from framework.registry import Part, build

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPLITS = ("train", "validation", "test")
LocatedRow = tuple[Row, str]  # a row and its place: "reviews.csv, line 7"


class Source:
    """Data source: iterates over the rows of each split, any number of times, without holding them in memory.

    A subclass names its splits (`native_splits`) and reads them (`read`). This class takes missing validation and test splits from the
    training rows, by label (`Format.row_labels`), and the sample of each split that `limit` asks for. Test rows, and the folds of a
    cross-validation, are the same for every seed, so that results of different seeds are comparable. Sources do not import torch, so that
    errors in the data are reported before it is loaded.

    >>> config = compose(["task=classification", "data=builtin", "data.limit=3"])
    >>> source = build(config["data"], format=build(config["task"]["format"]), seed=0)
    >>> isinstance(source, Source), source.splits, len(list(source.rows("train")))
    (True, ('train', 'validation', 'test'), 3)
    """

    settings_from_rows: ClassVar[bool] = True  # whether tasks choose settings from the training rows
    rules: ClassVar[dict[str, str]] = {"0 <= workers <= 1024": "workers must not be negative, and at most 1,024; 0 = the training process"}

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
        folds: int | None = None,
        fold: int | None = None,
    ):
        self.shares = {"validation": validation_share, "test": test_share}
        for name, share in self.shares.items():
            if not 0 <= share < 1:
                raise UserError(f"data.{name}_share={share} must be in [0, 1): a share of the training rows")
        if validation_share + test_share >= 1:
            raise UserError(f"data.validation_share={validation_share} and data.test_share={test_share} must sum to less than 1")
        _check_folds(folds, fold, validation_share, test_share, split)
        if limit is not None and limit < 1:
            raise UserError(f"data.limit={limit} must be at least 1, or null for all rows of each split")
        self.format, self.seed, self.columns = format, seed, Columns(format, columns, join)
        self.split_mode, self.limit, self.folds, self.fold = split, limit, folds, fold
        self.batches, self.workers = batches(), workers
        self._drawn: NDArray[np.uint8] | None = None
        self._sizes: dict[str, int] = {}

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
        if self.folds is not None and "test" in self.native_splits():
            raise UserError(
                f"data.folds={self.folds} takes the test rows from the training rows, and the data has a test part: data.test=null"
            )

    def size(self, split: str) -> int:
        """Number of rows of a native split."""
        return sum(1 for _ in self.read(split))

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
        shares = self.shares if self.folds is None else {**self.shares, "test": 1 / self.folds}
        return {name: share for name, share in shares.items() if "train" in native and name not in native and share > 0}

    def rows(self, split: str) -> Iterator[LocatedRow]:
        """Iterate over the rows of a split, each with its place."""
        assert split in self.splits, f"{split} is not among {self.splits}"
        if self.limit is None:
            return self._all_rows(split)
        return self._sampled_rows(split, self.limit)

    def fingerprint(self, split: str) -> dict[str, Any]:
        """A JSON-able value that changes when the rows of `rows(split)` change."""
        drawn = self._is_drawn(split)
        share = [self._derived_splits, self.split_mode, self.seed, self.fold] if drawn else None
        limit = None if self.limit is None else [self.limit, self._sample_seed(split)]
        origin = self.origin("train" if drawn else split)
        return {"source": type(self).__name__, "origin": origin, "columns": self.columns.selections, "share": share, "limit": limit}

    def split_note(self, split: str, sizes: Mapping[str, Mapping[str, int]]) -> str:
        """The note that a split was drawn from the training rows; empty if it was not. sizes: as `Prepared.sizes`."""
        share = self._derived_splits.get(split)
        if share is None:
            return ""
        if self.split_mode == "last":
            return "from the end of the training rows"
        if split == "test" and self.folds is not None:
            return f"fold {self.fold} of {self.folds} of the training rows, by label"
        rows = {name: sizes[name]["rows"] + sizes[name]["dropped"] for name in ("train", *self._derived_splits) if name in sizes}
        wanted = _share(sum(rows.values()), share)
        fewer = f" (fewer than {share:.3g} of them, so that each label keeps a row for training)" if rows[split] < wanted else ""
        return f"drawn from the training rows, by label{fewer if self.limit is None else ''}"

    def _is_drawn(self, split: str) -> bool:
        """Whether a split is a part of the training rows of the data."""
        derived = self._derived_splits
        return bool(derived) and split in ("train", *derived)

    def _all_rows(self, split: str) -> Iterator[LocatedRow]:
        if not self._is_drawn(split):
            return self.read(split)
        return self._last_rows(split) if self.split_mode == "last" else self._random_rows(split)

    def _sampled_rows(self, split: str, limit: int) -> Iterator[LocatedRow]:
        """A random sample of the rows in their order; of running text successive rows, because a text does not go on elsewhere."""
        from framework.data.sources.splits import sample

        if split not in self._sizes:
            self._sizes[split] = sum(1 for _ in self._all_rows(split)) if self._is_drawn(split) else self.size(split)
        total = self._sizes[split]
        wanted = iter(sample(total, min(limit, total), self._sample_seed(split), contiguous=self.format.stream))
        rows = enumerate(self._all_rows(split))
        for number in wanted:
            yield next(row for place, row in rows if place == number)

    def _sample_seed(self, split: str) -> str:
        return "test" if split == "test" else f"{split} {self.seed}"

    def _random_rows(self, split: str) -> Iterator[LocatedRow]:
        """The rows that were drawn for a split, in their order."""
        if self._drawn is None:
            self._drawn = self._draw()
        wanted = SPLITS.index(split)
        for row, drawn in zip(self.read("train"), self._drawn.tolist(), strict=True):
            if drawn == wanted:
                yield row

    def _draw(self) -> "NDArray[np.uint8]":
        """The split of each training row, as its place in SPLITS. The test split is drawn first, so it depends on no other share."""
        import numpy as np  # takes 0.1 s

        from framework.data.sources.splits import RowLabels, folds_of, stratified

        labels = RowLabels()
        for row, where in self.read("train"):
            with error_context(where):
                labels.add(self.format.row_labels(row))
        self._check_total(len(labels))
        splits = np.zeros(len(labels), dtype=np.uint8)
        if self.folds is not None and self.fold is not None and "test" in self._derived_splits:
            if len(labels) < self.folds:
                raise UserError(f"data.folds={self.folds}: there are {len(labels)} training rows, fewer than folds")
            splits[folds_of(labels, self.folds, "folds") == self.fold - 1] = SPLITS.index("test")
        for name, seed in (("test", "test"), ("validation", f"validation {self.seed}")):
            if name in self._derived_splits and not (name == "test" and self.folds):
                count = _share(len(labels), self._derived_splits[name])
                splits[stratified(labels, splits == 0, count, seed)] = SPLITS.index(name)
        return splits

    def _last_rows(self, split: str) -> Iterator[LocatedRow]:
        """Consecutive parts: train, validation, test. A row across a border is split in two if the source can split rows."""
        if "total" not in self._sizes:
            self._sizes["total"] = sum(self.row_size(row) for row, _ in self.read("train"))
        total, derived = self._sizes["total"], self._derived_splits
        self._check_total(total)
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

    def _check_total(self, total: int) -> None:
        if total <= len(self._derived_splits):
            name = next(iter(self._derived_splits))
            rows = "one training row" if total == 1 else f"{total} training rows"
            raise UserError(f"{rows} cannot be split: set data.{name}=FILE, or data.{name}_share=0 for no {name} split")


def _check_folds(folds: int | None, fold: int | None, validation_share: float, test_share: float, split: str) -> None:
    if folds is None:
        if fold is not None:
            raise UserError(f"data.fold={fold} is one of how many? data.folds=5 data.fold={fold}")
        return
    if folds < 2:
        raise UserError(f"data.folds={folds} must be at least 2, or null for no cross-validation")
    if fold is None:
        raise UserError(f"data.folds={folds}: which one? data.fold=1; data.folds={folds} without data.fold on the command line trains all")
    if not 1 <= fold <= folds:
        raise UserError(f"data.fold={fold} must be from 1 to data.folds={folds}")
    if test_share:
        raise UserError(f"data.folds={folds} says which rows are for the test: data.test_share=0, not {test_share}")
    if split == "last":
        raise UserError(f"data.folds={folds} draws rows by label: data.split=random")
    if validation_share + 1 / folds >= 1:
        raise UserError(f"data.validation_share={validation_share} leaves no training rows beside one of data.folds={folds}")


def _share(total: int, share: float) -> int:
    """Number of rows of a share, at least one."""
    return max(1, round(total * share))


def check_early(node: Mapping[str, Any], columns: Sequence[str], optional: Sequence[str], seed: int = 0) -> None:
    """Build the source of a config node of kind `data` and check it, before the task's code and torch are loaded.

    UserError: as `Source.check`. columns, optional: those of the task's text format, from the catalogue; checking needs nothing else of it.
    """
    declared = type("DeclaredFormat", (Format,), {"columns": tuple(columns), "optional": tuple(optional)})
    build(node, format=declared(), seed=seed).check()


@contextmanager
def error_context(where: str | Callable[[], str]) -> Iterator[None]:
    """Turn a ValueError about a row into a UserError that begins with the place of the row."""
    try:
        yield
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{where if isinstance(where, str) else where()}: {error}") from error
