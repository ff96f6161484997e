"""Differential attention: the difference of two softmaxes, which cancels what both attend to."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from framework.parts.attention.base import Attention
from framework.parts.attention.kernels import attend
from framework.parts.layout import SequenceLayout
from framework.parts.masks import Mask
from framework.registry import register


@register("attention")
class DifferentialAttention(Attention):
    """Differential attention: a softmax minus lambda times another one. Ye et al. 2024, section 2.1, https://arxiv.org/abs/2410.05258

    Each head has two queries and two keys of dim / num_heads / 2 features, one value, and an RMS norm of its output. lambda is learned, one
    for all heads of a layer; it begins near 0.8 - 0.6 exp(-0.3 layer), layers from 0. `explain` shows the softmaxes one after the other.

    weights_dropout: dropout of the attention weights; null = the model's dropout.
    """

    rules: ClassVar[dict[str, str]] = {
        "dim % (2 * num_heads) == 0": "dim must be a multiple of 2 * num_heads: a head has two queries and two keys",
        "weights_dropout is None or 0 <= weights_dropout < 1": "weights_dropout must be in [0, 1)",
    }
    provides: ClassVar[dict[str, str]] = {"odd_heads": "dim // num_heads // 2 % 2 == 1", "relative_scores": "True"}
    option_traits: ClassVar = {"training_only": ("weights_dropout",)}

    def __init__(
        self, dim: int, num_heads: int, dropout: float, bias: bool, epsilon: float, layer: int, weights_dropout: float | None = None
    ):
        super().__init__()
        self.rotary_dim = dim // num_heads // 2
        self.query, self.key, self.value, self.output = (nn.Linear(dim, dim, bias=bias) for _ in range(4))
        self.norm = nn.RMSNorm(2 * self.rotary_dim, eps=epsilon)
        self.lambda_queries = nn.Parameter(0.1 * torch.randn(2, self.rotary_dim))
        self.lambda_keys = nn.Parameter(0.1 * torch.randn(2, self.rotary_dim))
        self.initial_lambda = 0.8 - 0.6 * math.exp(-0.3 * layer)
        self.dropout = dropout if weights_dropout is None else weights_dropout

    def keys_values(self, x: Tensor, layout: SequenceLayout) -> tuple[Tensor, ...]:
        """First keys, second keys (B, H, S, d) and values (B, H, S, 2 d)."""
        first, second = self._pair(self.key(x), layout)
        return first, second, self.value(x).unflatten(-1, (-1, 2 * self.rotary_dim)).transpose(1, 2)

    def forward(self, x: Tensor, keys_values: tuple[Tensor, ...], layout: SequenceLayout, mask: Mask) -> Tensor:
        first, second, value = keys_values
        query, other = self._pair(self.query(x), layout)
        rate = self.dropout if self.training else 0.0
        one, two = (self.lambda_queries * self.lambda_keys).sum(-1).exp()
        attended = attend(query, first, value, mask, rate) - (one - two + self.initial_lambda) * attend(other, second, value, mask, rate)
        attended = (1 - self.initial_lambda) * self.norm(attended)  # (B, H, T, 2 d)
        return self.output(attended.transpose(1, 2).flatten(2))  # (B, T, D)

    def _pair(self, x: Tensor, layout: SequenceLayout) -> tuple[Tensor, Tensor]:
        """The two halves of every head of x (B, T, H 2 d), rotated: (B, H, T, d) each."""
        first, second = x.unflatten(-1, (-1, 2, self.rotary_dim)).permute(3, 0, 2, 1, 4)
        return layout.apply_rotary(first), layout.apply_rotary(second)
