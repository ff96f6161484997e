"""Learned position bias by distance.

Shapes: B batch, T query length, S key length, H heads.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from framework import Position, register


@register("position")
class SpecimenPosition(Position):
    """Learned logarithmic bias on the scores by distance (KERPLE). Chi et al. 2022, https://arxiv.org/abs/2205.09921

    slope: initial slope of the bias at distance 0.
    """

    provides: ClassVar = ("bias",)
    rules: ClassVar[dict[str, str]] = {"slope > 0": "slope must be positive"}

    def __init__(self, num_heads: int, slope: float = 1.0):
        super().__init__()
        self.height = nn.Parameter(torch.linspace(-2, 2, num_heads))  # softplus keeps both positive
        self.slope = nn.Parameter(torch.full((num_heads,), slope).expm1().log())

    def bias(self, queries: Tensor, keys: Tensor) -> Tensor | None:
        distance = (queries[:, :, None] - keys[:, None, :]).abs()[:, None]  # (B or 1, 1, T, S)
        height, slope = (softplus(each)[:, None, None] for each in (self.height, self.slope))  # (H, 1, 1)
        return -height * torch.log1p(slope * distance)  # (B or 1, H, T, S)
