"""Rows of different length as one padded tensor.

Shapes: B rows, T tokens of the longest row.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from framework.data.ragged import FeatureRows, Numbers, Ragged

Rows = Ragged | Sequence[Sequence[Any]]


def pad(rows: Rows, value: float, length: int | None = None) -> Tensor:
    """Rows of numbers padded on the right with a value: (B, T); rows of lists of numbers (choices, spans): (B, N, T).

    rows: a `Ragged` array, or lists. length: T, or N of rows of lists, if not that of the longest row.

    >>> pad([[5, 6, 7], [8]], 0).tolist()
    [[5, 6, 7], [8, 0, 0]]
    >>> pad([[[5, 6], [7]], [[8]]], 0).tolist()
    [[[5, 6], [7, 0]], [[8, 0], [0, 0]]]
    """
    if isinstance(rows, Ragged):
        return as_tensor(rows.padded(value, length))
    if rows and isinstance(rows[0], np.ndarray):
        return as_tensor(Ragged.of(rows).padded(value, length))
    length = max(map(len, rows)) if length is None else length
    if _nested(rows):
        width = max(len(items) for row in rows for items in row)
        rows = [[[*items, *[value] * (width - len(items))] for items in [*row, *[()] * (length - len(row))]] for row in rows]
    else:
        rows = [[*row, *[value] * (length - len(row))] for row in rows]
    padded = torch.tensor(rows)
    return padded if padded.numel() else padded.to(torch.tensor(value).dtype)


def padding_mask(rows: Rows | Numbers) -> Tensor | None:
    """(B, T), or (B, N, T) of rows of lists, True for tokens and False for padding; None if all rows are equally long.

    rows: a `Ragged` array, lists, or the lengths (B,) of rows as an array.

    >>> padding_mask([[5, 6, 7], [8]]).tolist()
    [[True, True, True], [True, False, False]]
    """
    if isinstance(rows, (Ragged, np.ndarray)):
        lengths = rows.lengths if isinstance(rows, Ragged) else rows
    elif _nested(rows):
        mask = pad([[[1] * len(items) for items in row] for row in rows], 0) > 0
        return None if bool(mask.all()) else mask
    else:
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    longest, shortest = int(lengths.max()), int(lengths.min())
    if shortest == longest:
        return None
    found = np.ones((len(lengths), longest), dtype=bool)
    found[:, shortest:] = np.arange(shortest, longest) < lengths[:, None]
    return torch.from_numpy(found)


def stack_features(features: Sequence[Mapping[str, Any]], padding: int) -> dict[str, Any]:
    """Every feature that all rows have as a tensor: lists padded to (B, T), lists of lists to (B, N, T), `ids` with the padding token and
    others with 0; numbers as (B,). Names with @ are left out. With `padding_mask` of the ids, or None where nothing is padded.

    ValueError: a feature is called padding_mask, beside ids.

    >>> batch = stack_features([{"ids": [5, 6, 7], "label": 1}, {"ids": [8], "label": 0}], padding=0)
    >>> batch["ids"].tolist(), batch["label"].tolist()
    ([[5, 6, 7], [8, 0, 0]], [1, 0])
    """
    rows = FeatureRows.of(features)
    batch: dict[str, Any] = {}
    for name in rows.names:
        if name.startswith("@"):
            continue
        column = rows.column(name)
        if isinstance(column, np.ndarray):
            batch[name] = as_tensor(column)
            continue
        batch[name] = pad(column, padding if name == "ids" else 0)
        if _bools(column):
            batch[name] = batch[name].bool()
    if "ids" in batch:
        if "padding_mask" in batch:
            raise ValueError("the feature 'padding_mask' needs another name: batches have the padding mask of ids under this one")
        batch["padding_mask"] = padding_mask(rows.column("ids"))
    return batch


def as_tensor(values: Numbers) -> Tensor:
    """The numbers with the dtype that torch gives to Python's: int64, bool or the default floating-point type."""
    tensor = torch.from_numpy(values if values.flags.writeable else values.copy())
    if tensor.is_floating_point():
        return tensor.to(torch.get_default_dtype())
    return tensor if tensor.dtype == torch.bool else tensor.long()


def _nested(rows: Sequence[Sequence[Any]]) -> bool:
    return any(isinstance(row[0], (list, tuple)) for row in rows if len(row))


def _bools(column: Any) -> bool:
    return column.dtype == bool if isinstance(column, Ragged) else isinstance(next(_numbers(column), None), bool)


def _numbers(values: Any) -> Iterator[Any]:
    for value in values:
        yield from _numbers(value) if isinstance(value, (list, tuple)) else (value,)
