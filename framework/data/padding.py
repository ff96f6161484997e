"""Rows of unequal length as one tensor.

Shapes: B rows, T tokens of the longest.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def pad(rows: Sequence[Sequence[float]], value: float, length: int | None = None) -> Tensor:
    """(B, T), filled up on the right; length: T, where it is given."""
    length = max(map(len, rows)) if length is None else length
    return torch.tensor([[*row, *[value] * (length - len(row))] for row in rows])


def padding_mask(rows: Sequence[Sequence[float]]) -> Tensor | None:
    """(B, T), True where a row has a token and False where `pad` fills up; None where all are equally long and nothing is filled up."""
    lengths = torch.tensor([len(row) for row in rows])
    longest = int(lengths.max())
    return None if int(lengths.min()) == longest else torch.arange(longest) < lengths[:, None]


def stack_features(features: Sequence[Mapping[str, Any]], padding: int) -> dict[str, Any]:
    """Every feature as a tensor under its own name: a list of each row (B, T), `ids` filled up with the padding token and others with 0;
    a number of each row (B,). `padding_mask` (B, T) tells tokens from what fills up; it is None where nothing does."""
    batch: dict[str, Any] = {"padding_mask": padding_mask([row["ids"] for row in features])} if "ids" in features[0] else {}
    for name, value in features[0].items():
        values = [row[name] for row in features]
        batch[name] = pad(values, padding if name == "ids" else 0) if isinstance(value, list) else torch.tensor(values)
    return batch
