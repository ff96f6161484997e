"""Features of rows: their types, and their storage as one file of numbers each.

A feature is a bool, an int or a float, a list of one of them, or a list of such lists (choices, spans). Every row has the same features,
each with the same nesting; a row of ints in a feature of floats is read back as floats.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from framework.data.feature_reader import mapped

# Types of numbers on disk, from the narrowest to the widest. Token ids fit into 32 bits.
DTYPES = ("int32", "int64", "float64")
NESTINGS = ("a number", "a list", "a list of lists")
BUFFER = 1 << 11  # numbers that are written at once
EXACT = 1 << 53  # integers up to here are equal as float64


@dataclass
class FeaturePart:
    """Description of a feature's files: type of number, nesting, whether they are bools, the largest integer, rows and their lengths."""

    dtype: str
    nesting: int | None
    bools: bool | None
    largest: int
    rows: int
    outer: int
    values: int


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
        self.waiting: dict[str, list[Any]] = {"values": [], "ends": [], "inner": []}  # numbers that are not in the files yet

    def add(self, value: Any) -> None:
        """Append the value of a row. ValueError: it is no feature, or unlike those of the rows before."""
        nesting, numbers = _flat(value)
        kinds = {_kind(each) for each in set(map(type, numbers))}  # type: ignore[arg-type]
        if None in kinds:
            raise ValueError(
                f"the feature {self.name!r} must be a bool, an int, a float, a list of them or of such lists, and is {_shown(value)}"
            )
        self._check_nesting(nesting)
        self._check_bools(kinds)
        self._widen(numbers, kinds)
        if nesting == 2:
            self._put("inner", list(accumulate(map(len, value), initial=self.values))[1:])
        if nesting != 0:
            self.outer += len(value)
            self._put("ends", (self.outer,))
        self.values += len(numbers)
        self._put("values", numbers)
        self.rows += 1

    def close(self) -> dict[str, Any]:
        """Close the files. Returns the description that `FeatureReader` needs."""
        for suffix in ("values", *(("ends",) if self.nesting != 0 else ()), *(("inner",) if self.nesting == 2 else ())):
            self._flush(suffix)
        for file in self.files.values():
            file.close()
        return {"nesting": 1 if self.nesting is None else self.nesting, "dtype": self.dtype, "bools": bool(self.bools)}

    def part(self) -> FeaturePart:
        """The description by which another writer appends these rows."""
        return FeaturePart(self.dtype, self.nesting, self.bools, self.largest, self.rows, self.outer, self.values)

    def takes(self, part: FeaturePart) -> bool:
        """Whether `add` would take every row of a part after those that are here."""
        nestings = {self.nesting, part.nesting}
        exact = "float64" not in (self.dtype, part.dtype) or max(self.largest, part.largest) <= EXACT
        return exact and len(nestings - {None}) < 2 and nestings != {None, 0} and len({self.bools, part.bools} - {None}) < 2

    def extend(self, path: Path, part: FeaturePart) -> None:
        """Append the rows of another writer, which `takes` accepts. path: of its files, without their suffixes."""
        self.nesting = part.nesting if self.nesting is None else self.nesting
        self.bools = part.bools if self.bools is None else self.bools
        self.largest = max(self.largest, part.largest)
        self._convert(max(self.dtype, part.dtype, key=DTYPES.index))
        for suffix in [suffix for suffix, numbers in self.waiting.items() if numbers]:
            self._flush(suffix)
        if part.nesting == 2:
            append(self._file("inner"), mapped(path.with_suffix(".inner"), "int64") + self.values, "int64")
        if part.nesting != 0:
            append(self._file("ends"), mapped(path.with_suffix(".ends"), "int64") + self.outer, "int64")
        append(self._file("values"), mapped(path.with_suffix(".values"), part.dtype), self.dtype)
        self.rows, self.outer, self.values = self.rows + part.rows, self.outer + part.outer, self.values + part.values

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
            whole = numbers if len(kinds) == 1 else [number for number in numbers if _kind(type(number)) == "int"]  # type: ignore[arg-type]
            self.largest = max(self.largest, int(max(whole)), -int(min(whole)))
        floats = "float" in kinds or self.dtype == "float64"
        if self.largest > (limit := EXACT if floats else (1 << 63) - 1):
            raise ValueError(f"the feature {self.name!r} has the number {self.largest}; whole numbers are stored exactly up to {limit}")
        self._convert("float64" if floats else "int64" if self.largest >= 1 << 31 else self.dtype)

    def _convert(self, wanted: str) -> None:
        """Store the values with another type of number."""
        if wanted != self.dtype:
            self._file("values").close()
            path = self.path.with_suffix(".values")
            before = mapped(path, self.dtype).astype(wanted)
            self.files["values"] = path.open("wb")
            append(self.files["values"], before, wanted)
            self.dtype = wanted

    def _put(self, suffix: str, numbers: Sequence[Any]) -> None:
        self.waiting[suffix] += numbers
        if len(self.waiting[suffix]) > BUFFER:
            self._flush(suffix)

    def _flush(self, suffix: str) -> None:
        append(self._file(suffix), self.waiting[suffix], self.dtype if suffix == "values" else "int64")
        self.waiting[suffix] = []

    def _file(self, suffix: str) -> BinaryIO:
        if suffix not in self.files:
            self.files[suffix] = self.path.with_suffix(f".{suffix}").open("wb")
        return self.files[suffix]


def _flat(value: Any) -> tuple[int | None, Sequence[Any]]:
    """The nesting of a feature and its numbers in sequence; None for an empty list, which is a list or a list of lists."""
    if not isinstance(value, (list, tuple)):
        return 0, [value]
    if value and isinstance(value[0], (list, tuple)) and all(issubclass(each, (list, tuple)) for each in set(map(type, value))):
        return 2, list(chain.from_iterable(value))
    return (1 if value else None), value


@lru_cache(maxsize=256)
def _kind(number: Any) -> str | None:
    """bool, int or float; None for types of other things than numbers."""
    kinds = {"bool": (bool, np.bool_), "int": (int, np.integer), "float": (float, np.floating)}
    return next((name for name, types in kinds.items() if issubclass(number, types)), None)


def _shown(value: Any) -> str:
    kind = f"of type {type(value).__name__}"
    if not isinstance(value, (list, tuple)):
        return kind
    items = sorted({type(item).__name__ for item in value})
    return f"{kind} with items of type {' and '.join(items)}"


def append(file: BinaryIO, values: Any, dtype: str) -> None:
    file.write(np.ascontiguousarray(values, dtype=dtype).data)
