"""Features on disk, read through memory maps."""

from pathlib import Path
from typing import Any

import numpy as np

from framework.data.ragged import Column, Numbers, Ragged


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
        starts = self.ends[rows - 1]
        starts[rows == 0] = 0
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


def start_of(ends: Numbers, row: int) -> int:
    return int(ends[row - 1]) if row else 0


def mapped(path: Path, dtype: str) -> Numbers:
    """A read-only memory map; an empty file cannot be mapped. As a plain array: every slice of a `memmap` takes microseconds."""
    return np.asarray(np.memmap(path, dtype=dtype, mode="r")) if path.stat().st_size else np.empty(0, dtype=dtype)
