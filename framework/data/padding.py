"""Rows of different length as one padded tensor.

Shapes: B rows, T tokens of the longest row.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def pad(rows: Sequence[Sequence[float]], value: float, length: int | None = None) -> Tensor:
    """Rows padded on the right with a value: (B, T). length: T, if not that of the longest row.

    >>> pad([[5, 6, 7], [8]], 0).tolist()
    [[5, 6, 7], [8, 0, 0]]
    """
    length = max(map(len, rows)) if length is None else length
    return torch.tensor([[*row, *[value] * (length - len(row))] for row in rows])


def padding_mask(rows: Sequence[Sequence[float]]) -> Tensor | None:
    """(B, T), True for tokens and False for padding; None if all rows are equally long.

    >>> padding_mask([[5, 6, 7], [8]]).tolist()
    [[True, True, True], [True, False, False]]
    """
    lengths = torch.tensor([len(row) for row in rows])
    longest = int(lengths.max())
    return None if int(lengths.min()) == longest else torch.arange(longest) < lengths[:, None]


def stack_features(features: Sequence[Mapping[str, Any]], padding: int) -> dict[str, Any]:
    """Every feature as a tensor of the same name: lists padded to (B, T), `ids` with the padding token and others with 0; numbers as (B,).
    With `padding_mask` (B, T), or None where no row is padded.

    >>> batch = stack_features([{"ids": [5, 6, 7], "label": 1}, {"ids": [8], "label": 0}], padding=0)
    >>> batch["ids"].tolist(), batch["label"].tolist()
    ([[5, 6, 7], [8, 0, 0]], [1, 0])
    """
    batch: dict[str, Any] = {"padding_mask": padding_mask([row["ids"] for row in features])} if "ids" in features[0] else {}
    for name, value in features[0].items():
        values = [row[name] for row in features]
        batch[name] = pad(values, padding if name == "ids" else 0) if isinstance(value, list) else torch.tensor(values)
    return batch
