"""A classifier by angles."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from framework import register


@register("classifier")
class SpecimenClassifier(nn.Module):
    """Scaled cosines of the pooled state and a direction of each class. Gidaris and Komodakis 2018, section 3.2,

    https://arxiv.org/abs/1804.09458

    scale: initial multiplier of the cosines, which is learned.
    """

    def __init__(self, dim: int, outputs: int, scale: float = 10.0):
        super().__init__()
        self.directions = nn.Parameter(torch.randn(outputs, dim))
        self.scale = nn.Parameter(torch.tensor(scale))
        self.variant = "cosine"  # published classes compute other heads, so none has its weights

    def forward(self, x: Tensor) -> Tensor:
        """x (B, D) -> (B, C)."""
        return self.scale * linear(normalize(x, dim=-1), normalize(self.directions, dim=-1))
