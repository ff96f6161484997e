"""An attention from outside."""

from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from framework import Attention, Mask, SequenceLayout, register


@register("attention")
class TiedAttention(Attention):
    """Multi-head attention whose keys are its values as well."""

    rules: ClassVar[dict[str, str]] = {"dim % num_heads == 0": "dim must be a multiple of num_heads"}

    def __init__(self, dim: int, num_heads: int, bias: bool):
        super().__init__()
        self.rotary_dim = dim // num_heads
        self.query, self.key, self.output = (nn.Linear(dim, dim, bias=bias) for _ in range(3))

    def keys_values(self, x: Tensor, layout: SequenceLayout) -> tuple[Tensor, ...]:
        key = self._split(self.key(x))
        return layout.apply_rotary(key), key  # 2 x (B, H, S, d)

    def forward(self, x: Tensor, keys_values: tuple[Tensor, ...], layout: SequenceLayout, mask: Mask) -> Tensor:
        attended = scaled_dot_product_attention(layout.apply_rotary(self._split(self.query(x))), *keys_values, **mask.sdpa())
        return self.output(attended.transpose(1, 2).flatten(2))  # (B, T, D)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.rotary_dim)).transpose(1, 2)  # (B, T, H d) -> (B, H, T, d)
