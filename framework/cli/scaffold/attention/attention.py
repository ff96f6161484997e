"""Attention by the angle between queries and keys.

Shapes: B batch, T query length, S key length, D model width, H heads, d head width.
"""

from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import normalize, scaled_dot_product_attention

from framework import Attention, Mask, SequenceLayout, register


@register("attention")
class SpecimenAttention(Attention):
    """Attention whose scores are cosines, so that none can grow with the weights. Henry et al. 2020, https://arxiv.org/abs/2010.04245

    scale: factor on the cosines; the larger, the sharper.
    """

    rules: ClassVar[dict[str, str]] = {
        "dim % num_heads == 0": "the heads share the width evenly",
        "scale > 0": "a larger cosine is a larger score",
    }

    def __init__(self, dim: int, num_heads: int, bias: bool, scale: float = 10.0):
        super().__init__()
        self.rotary_dim, self.scale = dim // num_heads, scale
        self.query, self.key, self.value, self.output = (nn.Linear(dim, dim, bias=bias) for _ in range(4))

    def keys_values(self, x: Tensor, layout: SequenceLayout) -> tuple[Tensor, ...]:
        """What is kept of the tokens looked at: a cache appends it, cross-attention computes it once."""
        return layout.apply_rotary(normalize(self._split(self.key(x)), dim=-1)), self._split(self.value(x))  # 2 x (B, H, S, d)

    def forward(self, x: Tensor, keys_values: tuple[Tensor, ...], layout: SequenceLayout, mask: Mask, bias: Tensor | None = None) -> Tensor:
        query = layout.apply_rotary(normalize(self._split(self.query(x)), dim=-1))  # (B, H, T, d)
        key, value = keys_values
        seen = scaled_dot_product_attention(query, key, value, scale=self.scale, **mask.kernel(bias))  # (B, H, T, d)
        return self.output(seen.transpose(1, 2).flatten(2))  # (B, T, D)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.rotary_dim)).transpose(1, 2)  # (B, T, D) -> (B, H, T, d)
