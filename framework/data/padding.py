"""Rows of different length as one padded tensor.

Shapes: B rows, T tokens of the longest row.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def pad(rows: Sequence[Sequence[Any]], value: float, length: int | None = None) -> Tensor:
    """Rows of numbers padded on the right with a value: (B, T); rows of lists of numbers (choices, spans): (B, N, T).

    length: T, or N of rows of lists, if not that of the longest row.

    >>> pad([[5, 6, 7], [8]], 0).tolist()
    [[5, 6, 7], [8, 0, 0]]
    >>> pad([[[5, 6], [7]], [[8]]], 0).tolist()
    [[[5, 6], [7, 0]], [[8, 0], [0, 0]]]
    """
    length = max(map(len, rows)) if length is None else length
    if _nested(rows):
        width = max(len(items) for row in rows for items in row)
        rows = [[[*items, *[value] * (width - len(items))] for items in [*row, *[()] * (length - len(row))]] for row in rows]
    else:
        rows = [[*row, *[value] * (length - len(row))] for row in rows]
    padded = torch.tensor(rows)
    return padded if padded.numel() else padded.to(torch.tensor(value).dtype)


def padding_mask(rows: Sequence[Sequence[Any]]) -> Tensor | None:
    """(B, T), or (B, N, T) of rows of lists, True for tokens and False for padding; None if all rows are equally long.

    >>> padding_mask([[5, 6, 7], [8]]).tolist()
    [[True, True, True], [True, False, False]]
    """
    if _nested(rows):
        mask = pad([[[1] * len(items) for items in row] for row in rows], 0) > 0
        return None if bool(mask.all()) else mask
    lengths = torch.tensor([len(row) for row in rows])
    longest = int(lengths.max())
    return None if int(lengths.min()) == longest else torch.arange(longest) < lengths[:, None]


def stack_features(features: Sequence[Mapping[str, Any]], padding: int) -> dict[str, Any]:
    """Every feature as a tensor: lists padded to (B, T), lists of lists to (B, N, T), `ids` with the padding token and others
    with 0; numbers as (B,). Names with @ are left out. With `padding_mask` of the ids, or None where nothing is padded.

    ValueError: a feature is called padding_mask, beside ids.

    >>> batch = stack_features([{"ids": [5, 6, 7], "label": 1}, {"ids": [8], "label": 0}], padding=0)
    >>> batch["ids"].tolist(), batch["label"].tolist()
    ([[5, 6, 7], [8, 0, 0]], [1, 0])
    """
    batch: dict[str, Any] = {}
    for name, value in features[0].items():
        if name.startswith("@"):
            continue
        values = [row[name] for row in features]
        if not isinstance(value, list):
            batch[name] = torch.tensor(values)
            continue
        batch[name] = pad(values, padding if name == "ids" else 0)
        if isinstance(next(_numbers(values), None), bool):
            batch[name] = batch[name].bool()
    if "ids" in batch:
        if "padding_mask" in batch:
            raise ValueError("the feature 'padding_mask' needs another name: batches have the padding mask of ids under this one")
        batch["padding_mask"] = padding_mask([row["ids"] for row in features])
    return batch


def _nested(rows: Sequence[Sequence[Any]]) -> bool:
    return any(isinstance(row[0], (list, tuple)) for row in rows if row)


def _numbers(values: Any) -> Iterator[Any]:
    for value in values:
        yield from _numbers(value) if isinstance(value, (list, tuple)) else (value,)
