"""Functional interpolation of relative positions (FIRE)."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from framework.parts.positions.base import Position
from framework.registry import register


@register("position")
class FirePosition(Position):
    """Bias on the scores by a small network of the relative distance. Li et al. 2024, section 3, https://arxiv.org/abs/2310.04418

    The network reads log(1 + c distance) / log(1 + c max(position, L)), at most 1 in texts of any length; c and L are learned. In a
    bidirectional stack the distance is that in both directions, and the position the later one of query and key.

    hidden: features of the network's hidden layer.
    threshold: initial value of L, the position from which distances are relative to it.
    """

    provides: ClassVar = ("bias",)
    rules: ClassVar[dict[str, str]] = {
        "0 < hidden <= 2**20": "hidden must be positive, and at most 2**20",
        "1 <= threshold <= 2**24": "threshold must be at least 1, and at most 2**24",
    }

    def __init__(self, num_heads: int, hidden: int = 32, threshold: float = 512.0):
        super().__init__()
        self.threshold = threshold
        self.rate = nn.Parameter(torch.tensor(0.1))
        self.threshold_scale = nn.Parameter(torch.tensor(1.0))
        self.input, self.output = nn.Linear(1, hidden), nn.Linear(hidden, num_heads)

    def initialize_weights(self, std: float) -> None:
        """A network of one input feature needs larger weights than the model's others."""
        self.input.reset_parameters()
        self.output.reset_parameters()

    def bias(self, queries: Tensor, keys: Tensor) -> Tensor | None:
        query, key = queries[:, :, None], keys[:, None, :]
        later = torch.maximum(torch.maximum(query, key), (self.threshold * self.threshold_scale).abs())
        rate = self.rate.abs()
        share = torch.log1p(rate * (query - key).abs()) / (torch.log1p(rate * later) + 1e-6)  # (B or 1, T, S)
        return self.output(functional.relu(self.input(share[..., None]))).permute(0, 3, 1, 2)  # (B or 1, H, T, S)
