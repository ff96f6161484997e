"""What every attention promises."""

from typing import ClassVar

from torch import Tensor, nn

from framework.parts.caches import Cache, KVCache
from framework.parts.layout import SequenceLayout
from framework.parts.masks import Mask


class Attention(nn.Module):
    """Two steps: what is kept of the tokens looked at, and what the tokens that look make of it.

    Self-attention is `attention(x, cache.update(keys_values), layout, mask, bias)`; without a cache the middle step is
    absent. Cross-attention is `attention(x, keys_values, ...)` over keys and values of the encoder output, computed once.
    An owner offers: dim, num_heads, dropout, bias, epsilon, layer (from 0), num_layers.

    rotary_dim: how many features of a head a position may rotate.
    """

    rotary_dim: int
    rules: ClassVar[dict[str, str]] = {}
    provides: ClassVar[tuple[str, ...]] = ()

    def keys_values(self, x: Tensor, layout: SequenceLayout) -> tuple[Tensor, ...]:
        """What is kept of x (B, S, D). Every tensor has the batch first; KVCache needs tokens next to last: (B, K, S, d)."""
        raise NotImplementedError

    def forward(self, x: Tensor, keys_values: tuple[Tensor, ...], layout: SequenceLayout, mask: Mask, bias: Tensor | None = None) -> Tensor:
        """x (B, T, D) looks at what was kept; bias (B or 1, H, T, S) is added to its scores. Returns (B, T, D)."""
        raise NotImplementedError

    def cache(self) -> Cache:
        """An empty cache for keys and values."""
        return KVCache()
