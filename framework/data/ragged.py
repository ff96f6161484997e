"""Features of several rows as arrays, which a format collates without a Python object for each number.

Shapes: B rows, T numbers of the longest row, N numbers of all rows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from framework.data.formats import Features

Numbers = NDArray[Any]


class Ragged(Sequence[Numbers]):
    """A ragged array: rows of numbers of different lengths, each a slice of one array.

    values: (N,) or more. starts, lengths: (B,), of each row in the values; rows may overlap, and lie in any order.
    dtype: of the rows, bool, int64 or float64; the values may be stored in a narrower type. By default that of the values.

    >>> rows = Ragged.of([[5, 6, 7], [8]])
    >>> [row.tolist() for row in rows.cut(1)], rows.padded(0).tolist()
    ([[6, 7], []], [[5, 6, 7], [8, 0, 0]])
    """

    def __init__(self, values: Numbers, starts: Numbers, lengths: Numbers, dtype: Any = None):
        self.values, self.starts, self.lengths = values, starts, lengths
        self.dtype = np.dtype(values.dtype if dtype is None else dtype)

    @classmethod
    def of(cls, rows: Sequence[Any]) -> "Ragged":
        """The rows, each a list or an array of numbers."""
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        values = np.concatenate([np.asarray(row) for row in rows if len(row)] or [np.empty(0, dtype=np.int64)])
        return cls(values, np.cumsum(lengths) - lengths, lengths)

    @classmethod
    def of_padded(cls, values: Numbers, lengths: Numbers) -> "Ragged":
        """The rows that are padded to values (B, T)."""
        return cls(values.ravel(), np.arange(len(lengths)) * values.shape[1], lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, row: int) -> Numbers: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Numbers]: ...
    def __getitem__(self, row: int | slice) -> Any:
        if isinstance(row, slice):
            return [self[number] for number in range(*row.indices(len(self)))]
        start = int(self.starts[row])
        return np.asarray(self.values[start : start + int(self.lengths[row])]).astype(self.dtype)

    def cut(self, start: int = 0, stop: int | None = None) -> "Ragged":
        """The slice [start:stop] of every row, in constant time a row. start: not negative."""
        first = np.minimum(start, self.lengths)
        last = self.lengths if stop is None else np.clip(stop if stop >= 0 else self.lengths + stop, 0, self.lengths)
        return Ragged(self.values, self.starts + first, np.maximum(last - first, 0), self.dtype)

    def padded(self, value: Any, width: int | None = None, before: Sequence[Any] = (), after: Sequence[Any] = ()) -> Numbers:
        """(B, T), padded on the right. width: that of the longest row, if not its length; no row may be longer. before, after: the same
        numbers before and after each row, which make T as much larger."""
        width = int(self.lengths.max(initial=0)) if width is None else width
        dtype = np.promote_types(self.dtype, np.asarray(value).dtype) if len(self.values) else np.asarray(value).dtype
        found = np.empty((len(self), len(before) + width + len(after)), dtype=dtype)
        found[:, : len(before)] = before
        found[:, len(before) + width :] = value
        inner = found[:, len(before) : len(before) + width]  # (B, width)
        if len(self.values) and width:
            inner[:] = _slices(self.values, self.starts, width)
        if (shortest := int(self.lengths.min(initial=width))) < width:
            inner[:, shortest:][np.arange(shortest, width) >= self.lengths[:, None]] = value
        for place, number in enumerate(after, len(before)):
            found[np.arange(len(self)), place + self.lengths] = number
        return found


def _slices(values: Numbers, starts: Numbers, width: int) -> Numbers:
    """(B, width): so many values from each start on; those beyond the last value are any.

    One gather of rows, each an item of `width` numbers: an index for each number takes five times as long."""
    last = len(values) - width
    if last < 0 or int(starts.max(initial=0)) > last or not values.flags.c_contiguous:
        return values.take(starts[:, None] + np.arange(width), mode="clip")
    rows: Numbers = np.ndarray((last + 1,), f"V{width * values.itemsize}", values, strides=(values.itemsize,))
    return rows[starts].view(values.dtype).reshape(len(starts), width)


Column = Ragged | Numbers | list[Any]


class FeatureRows(Sequence[Features]):
    """The features of several rows. As a sequence each row is a dict of Python numbers and lists, as `Format.encode` returned it; a format
    that collates many rows reads the features of all of them at once.

    names: those that every row has. column: name -> an array (B,) of numbers, a `Ragged` of lists, or a list where lists hold lists.

    >>> rows = FeatureRows.of([{"ids": [5, 6, 7], "label": 1}, {"ids": [8], "label": 0}])
    >>> rows.lists("ids").padded(0).tolist(), rows.numbers("label").tolist(), rows[1]
    ([[5, 6, 7], [8, 0, 0]], [1, 0], {'ids': [8], 'label': 0})
    """

    def __init__(self, size: int, names: Sequence[str], column: Callable[[str], Column]):
        self.size, self.names, self._column = size, tuple(names), column
        self._columns: dict[str, Column] = {}

    @classmethod
    def of(cls, features: Sequence[Mapping[str, Any]]) -> "FeatureRows":
        """The same rows, if they are no FeatureRows yet."""
        if isinstance(features, FeatureRows):
            return features
        names = [name for name in features[0] if all(name in row for row in features)]
        return cls(len(features), names, lambda name: _column([row[name] for row in features]))

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, row: int) -> Features: ...
    @overload
    def __getitem__(self, row: slice) -> list[Features]: ...
    def __getitem__(self, row: int | slice) -> Features | list[Features]:
        if isinstance(row, slice):
            return [self[number] for number in range(*row.indices(self.size))]
        if not -self.size <= row < self.size:
            raise IndexError(row)
        return {name: _plain(self.column(name)[row]) for name in self.names}

    def __iter__(self) -> Iterator[Features]:
        return (self[number] for number in range(self.size))

    def column(self, name: str) -> Column:
        """A feature of all rows. KeyError: not every row has it."""
        if name not in self.names:
            raise KeyError(name)
        if name not in self._columns:
            self._columns[name] = self._column(name)
        return self._columns[name]

    def lists(self, name: str) -> Ragged:
        """A feature that is a list of numbers in every row. KeyError: not every row has it. ValueError: it is none."""
        column = self.column(name)
        if not isinstance(column, Ragged):
            raise ValueError(f"the feature {name!r} is no list of numbers in these rows")
        return column

    def numbers(self, name: str) -> Numbers:
        """(B,): a feature that is a number in every row. KeyError: not every row has it. ValueError: it is none."""
        column = self.column(name)
        if not isinstance(column, np.ndarray):
            raise ValueError(f"the feature {name!r} is no number in these rows")
        return column

    def values(self, name: str) -> list[Any]:
        """A feature as a list of Python values, one for each row. KeyError: not every row has it."""
        column = self.column(name)
        return column.tolist() if isinstance(column, np.ndarray) else [_plain(value) for value in column]

    def but(self, **columns: Column) -> "FeatureRows":
        """These rows with features added or replaced."""
        return FeatureRows(self.size, [*dict.fromkeys((*self.names, *columns))], lambda name: _one(columns, name, self.column))

    def without(self, *names: str) -> "FeatureRows":
        """These rows without some features."""
        return FeatureRows(self.size, [name for name in self.names if name not in names], self.column)


def _one(columns: Mapping[str, Column], name: str, otherwise: Callable[[str], Column]) -> Column:
    return columns[name] if name in columns else otherwise(name)


def _column(values: list[Any]) -> Column:
    """A feature of rows that are dicts."""
    if not isinstance(values[0], (list, tuple, np.ndarray)):
        return np.asarray(values)
    nested = any(isinstance(row[0], (list, tuple, np.ndarray)) for row in values if len(row))
    return values if nested else Ragged.of(values)


def _plain(value: Any) -> Any:
    """A value as Python numbers and lists."""
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
