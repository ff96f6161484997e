"""Attention with linear biases (ALiBi)."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from framework.parts.positions.base import Position
from framework.registry import register


@register("position")
class AlibiPosition(Position):
    """Linear bias on the scores by distance, with one slope for each head (ALiBi). Press et al. 2022, section 3, https://arxiv.org/abs/2108.12409

    In a bidirectional stack the bias is the same in both directions.
    """

    provides: ClassVar = ("bias",)

    def __init__(self, num_heads: int):
        super().__init__()
        self.num_heads = num_heads

    def bias(self, queries: Tensor, keys: Tensor) -> Tensor | None:
        distance = (queries[:, :, None] - keys[:, None, :]).abs()  # (B or 1, T, S)
        return -slopes(self.num_heads, queries.device)[:, None, None] * distance[:, None]  # (B or 1, H, T, S)


def slopes(num_heads: int, device: torch.device) -> Tensor:
    """Slopes (H,): 2^(-8/n), 2^(-16/n), ... for n heads; for other n than powers of two as in the paper's code: those of the power below,
    then every other one of the power above."""
    power = 2 ** math.floor(math.log2(num_heads))
    first = torch.arange(1, power + 1, device=device) * (-8 / power)
    between = torch.arange(num_heads - power, device=device) * (-8 / power) - 4 / power
    return torch.exp2(torch.cat((first, between)))  # (H,)
