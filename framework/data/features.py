"""Features of rows: their types, and their storage as one file of numbers each.

A feature is a bool, an int or a float, a list of one of them, or a list of such lists (choices, spans). Every row has the same features,
each with the same nesting; a row of ints in a feature of floats is read back as floats.
"""

from collections.abc import Sequence
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from framework.data.ragged import Column, Numbers, Ragged

# Types of numbers on disk, from the narrowest to the widest. Token ids fit into 32 bits.
DTYPES = ("int32", "int64", "float64")
NESTINGS = ("a number", "a list", "a list of lists")
EXACT = 1 << 53  # integers up to here are equal as float64


class FeatureWriter:
    """Appends the values of a feature to files: `NAME.values`, for lists `NAME.ends` (the end of each row in the values), and for lists of
    lists also `NAME.inner` (the end of each inner list in the values; the rows then end in the inner lists).

    The files get the narrowest type of number that holds all values exactly; they are rewritten when a row needs a wider one.
    """

    def __init__(self, folder: Path, name: str):
        if not name.isidentifier():
            raise ValueError(f"the feature {name!r} must be named by a Python identifier; names with @ are the framework's own")
        self.path, self.name = folder / name, name
        self.dtype = DTYPES[0]
        self.bools: bool | None = None  # None: no value so far
        self.nesting: int | None = None  # None: only empty lists so far
        self.rows = self.outer = self.values = self.largest = 0
        self.files: dict[str, BinaryIO] = {}

    def add(self, value: Any) -> None:
        """Append the value of a row. ValueError: it is no feature, or unlike those of the rows before."""
        nesting, numbers = _flat(value)
        kinds = {_kind(each) for each in {type(number) for number in numbers}}
        if None in kinds:
            raise ValueError(
                f"the feature {self.name!r} must be a bool, an int, a float, a list of them or of such lists, and is {_shown(value)}"
            )
        self._check_nesting(nesting)
        self._check_bools(kinds)
        self._widen(numbers, kinds)
        if nesting == 2:
            append(self._file("inner"), list(accumulate(map(len, value), initial=self.values))[1:], "int64")
        if nesting != 0:
            self.outer += len(value)
            append(self._file("ends"), [self.outer], "int64")
        self.values += len(numbers)
        append(self._file("values"), numbers, self.dtype)
        self.rows += 1

    def close(self) -> dict[str, Any]:
        """Close the files. Returns the description that `FeatureReader` needs."""
        for suffix in ("values", *(("ends",) if self.nesting != 0 else ()), *(("inner",) if self.nesting == 2 else ())):
            self._file(suffix)
        for file in self.files.values():
            file.close()
        return {"nesting": 1 if self.nesting is None else self.nesting, "dtype": self.dtype, "bools": bool(self.bools)}

    def _check_nesting(self, nesting: int | None) -> None:
        before = self.nesting
        if self.rows and nesting != before and (None not in (nesting, before) or 0 in (nesting, before)):
            here, there = (NESTINGS[1 if each is None else each] for each in (nesting, before))
            raise ValueError(f"the feature {self.name!r} is {here} in this row and {there} in the rows before it")
        self.nesting = before if nesting is None else nesting

    def _check_bools(self, kinds: set[str | None]) -> None:
        bools = {kind == "bool" for kind in kinds} | ({self.bools} - {None})
        if len(bools) > 1:
            raise ValueError(f"the feature {self.name!r} has numbers as well as true or false: make all of them numbers")
        self.bools = next(iter(bools), None)

    def _widen(self, numbers: Sequence[Any], kinds: set[str | None]) -> None:
        if "int" in kinds:
            whole = numbers if len(kinds) == 1 else [number for number in numbers if _kind(type(number)) == "int"]
            self.largest = max(self.largest, int(max(whole)), -int(min(whole)))
        floats = "float" in kinds or self.dtype == "float64"
        if self.largest > (limit := EXACT if floats else (1 << 63) - 1):
            raise ValueError(f"the feature {self.name!r} has the number {self.largest}; whole numbers are stored exactly up to {limit}")
        wanted = "float64" if floats else "int64" if self.largest >= 1 << 31 else self.dtype
        if wanted != self.dtype:
            self._file("values").close()
            path = self.path.with_suffix(".values")
            before = mapped(path, self.dtype).astype(wanted)
            self.files["values"] = path.open("wb")
            append(self.files["values"], before, wanted)
            self.dtype = wanted

    def _file(self, suffix: str) -> BinaryIO:
        if suffix not in self.files:
            self.files[suffix] = self.path.with_suffix(f".{suffix}").open("wb")
        return self.files[suffix]


class FeatureReader:
    """The memory-mapped values of a feature. nesting: 0 numbers, 1 lists, 2 lists of lists. ends: of each row, for lists."""

    def __init__(self, folder: Path, name: str, nesting: int, dtype: str, bools: bool):
        path = folder / name
        self.nesting, self.dtype = nesting, np.dtype(bool if bools else np.float64 if dtype == "float64" else np.int64)
        self.values = mapped(path.with_suffix(".values"), dtype)
        self.ends = mapped(path.with_suffix(".ends"), "int64") if nesting else None
        self._inner = mapped(path.with_suffix(".inner"), "int64") if nesting == 2 else None

    def __getitem__(self, row: int) -> Any:
        if self.ends is None:
            return self._plain(slice(row, row + 1))[0]
        start, stop = start_of(self.ends, row), int(self.ends[row])
        if self._inner is None:
            return self._plain(slice(start, stop))
        inner = [(start_of(self._inner, number), int(self._inner[number])) for number in range(start, stop)]
        return [self._plain(slice(*ends)) for ends in inner]

    def column(self, rows: Numbers) -> Column:
        """The feature of several rows (B,)."""
        if self.ends is None:
            return self.values[rows].astype(self.dtype)
        if self._inner is not None:
            return [self[row] for row in rows.tolist()]
        starts = np.where(rows > 0, self.ends[rows - 1], 0)
        return self.slices(starts, self.ends[rows] - starts)

    def slices(self, starts: Numbers, lengths: Numbers) -> Ragged:
        """Slices (B,) of the values of all rows in sequence; they start again after the last one."""
        total = len(self.values)
        if not len(starts) or int((starts + lengths).max()) <= total:
            return Ragged(self.values, starts, lengths, self.dtype)
        index = starts[:, None] + np.arange(int(lengths.max()))  # (B, T)
        return Ragged.of_padded(self.values.take(index, mode="wrap").astype(self.dtype), lengths)

    def _plain(self, place: slice) -> list[Any]:
        return list(self.values[place].astype(self.dtype).tolist())


def _flat(value: Any) -> tuple[int | None, Sequence[Any]]:
    """The nesting of a feature and its numbers in sequence; None for an empty list, which is a list or a list of lists."""
    if not isinstance(value, (list, tuple)):
        return 0, [value]
    if value and all(issubclass(each, (list, tuple)) for each in set(map(type, value))):
        return 2, list(chain.from_iterable(value))
    return (1 if value else None), value


def _kind(number: type) -> str | None:
    """bool, int or float; None for types of other things than numbers."""
    kinds = {"bool": (bool, np.bool_), "int": (int, np.integer), "float": (float, np.floating)}
    return next((name for name, types in kinds.items() if issubclass(number, types)), None)


def _shown(value: Any) -> str:
    kind = f"of type {type(value).__name__}"
    if not isinstance(value, (list, tuple)):
        return kind
    items = sorted({type(item).__name__ for item in value})
    return f"{kind} with items of type {' and '.join(items)}"


def start_of(ends: Numbers, row: int) -> int:
    return int(ends[row - 1]) if row else 0


def append(file: BinaryIO, values: Any, dtype: str) -> None:
    file.write(np.array(values, dtype=dtype).tobytes())


def mapped(path: Path, dtype: str) -> Numbers:
    """A read-only memory map; an empty file cannot be mapped. As a plain array: every slice of a `memmap` takes microseconds."""
    return np.asarray(np.memmap(path, dtype=dtype, mode="r")) if path.stat().st_size else np.empty(0, dtype=dtype)
