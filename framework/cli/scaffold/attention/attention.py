"""Cosine attention.

Shapes: B batch, T query length, S key length, D model dimension, H heads, d head dimension.
"""

from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import normalize

from framework import Attention, Mask, SequenceLayout, attend, register


@register("attention")
class SpecimenAttention(Attention):
    """Attention whose scores are scaled cosines of queries and keys. Henry et al. 2020, https://arxiv.org/abs/2010.04245

    scale: multiplier of the cosines; larger gives sharper attention.
    """

    rules: ClassVar[dict[str, str]] = {
        "dim % num_heads == 0": "dim must be a multiple of num_heads",
        "scale > 0": "scale must be positive",
    }

    def __init__(self, dim: int, num_heads: int, bias: bool, scale: float = 10.0):
        super().__init__()
        self.rotary_dim, self.scale = dim // num_heads, scale
        self.query, self.key, self.value, self.output = (nn.Linear(dim, dim, bias=bias) for _ in range(4))

    def keys_values(self, x: Tensor, layout: SequenceLayout) -> tuple[Tensor, ...]:
        """Keys and values of the context: a cache appends them, cross-attention computes them once."""
        return layout.apply_rotary(normalize(self._split(self.key(x)), dim=-1)), self._split(self.value(x))  # 2 x (B, H, S, d)

    def forward(self, x: Tensor, keys_values: tuple[Tensor, ...], layout: SequenceLayout, mask: Mask) -> Tensor:
        query = layout.apply_rotary(normalize(self._split(self.query(x)), dim=-1))  # (B, H, T, d)
        key, value = keys_values
        attended = attend(query, key, value, mask, scale=self.scale)  # (B, H, T, d)
        return self.output(attended.transpose(1, 2).flatten(2))  # (B, T, D)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.rotary_dim)).transpose(1, 2)  # (B, T, D) -> (B, H, T, d)
