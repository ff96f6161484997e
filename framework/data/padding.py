"""Rows of unequal length as one tensor.

Shapes: B rows, T tokens of the longest.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def pad(rows: Sequence[Sequence[float]], filler: float, width: int | None = None) -> Tensor:
    """(B, T), filled up on the right; width: T, where it is given."""
    width = max(map(len, rows)) if width is None else width
    return torch.tensor([[*row, *[filler] * (width - len(row))] for row in rows])


def tokens(rows: Sequence[Sequence[float]]) -> Tensor | None:
    """(B, T), True where a row has a token and False where `pad` fills up; None where all are equally long and nothing is filled up."""
    lengths = torch.tensor([len(row) for row in rows])
    longest = int(lengths.max())
    return None if int(lengths.min()) == longest else torch.arange(longest) < lengths[:, None]
