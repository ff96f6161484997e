"""A norm with one gain."""

import torch
from torch import Tensor, nn

from framework import register


@register("norm")
class SpecimenNorm(nn.Module):
    """Scale normalization: the direction of the features, times one learned length. Nguyen and Salazar 2019,

    https://arxiv.org/abs/1910.05895

    gain: initial length, as a multiple of sqrt(dim).
    """

    def __init__(self, dim: int, epsilon: float, gain: float = 1.0):
        super().__init__()
        self.epsilon = epsilon
        self.length = nn.Parameter(torch.tensor(gain * dim**0.5))

    def forward(self, x: Tensor) -> Tensor:
        """x (..., D) -> (..., D)."""
        return self.length * x / (x.norm(dim=-1, keepdim=True) + self.epsilon)
