"""Kernelized relative positional embedding (KERPLE), with a logarithmic kernel."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from framework.parts.positions.base import Position
from framework.registry import register


@register("position")
class KerplePosition(Position):
    """Learned logarithmic bias on the scores by distance, -a log(1 + b distance). Chi et al. 2022, section 4, https://arxiv.org/abs/2205.09921

    Each head has its own positive a and b, kept positive as exponentials, so that texts longer than those of training are served. In a
    bidirectional stack the bias is the same in both directions.
    """

    provides: ClassVar = ("bias",)

    def __init__(self, num_heads: int):
        super().__init__()
        self.log_scale = nn.Parameter(torch.linspace(-2.0, 1.0, num_heads))  # a of the first head is a seventh, that of the last almost 3
        self.log_rate = nn.Parameter(torch.zeros(num_heads))

    def bias(self, queries: Tensor, keys: Tensor) -> Tensor | None:
        distance = (queries[:, :, None] - keys[:, None, :]).abs()[:, None]  # (B or 1, 1, T, S)
        scale, rate = self.log_scale.exp()[:, None, None], self.log_rate.exp()[:, None, None]  # (H, 1, 1)
        return -scale * torch.log1p(rate * distance)  # (B or 1, H, T, S)
