"""What every attention promises."""

from typing import ClassVar

from torch import Tensor, nn

from framework.parts.caches import Cache, KVCache
from framework.parts.masks import Mask
from framework.parts.places import Place


class Attention(nn.Module):
    """Two steps: what is kept of the tokens looked at, and what the tokens that look make of it.

    Self-attention is `read(x, cache.append(remember(x, place)), place, mask, bias)`; without a cache the middle step is
    absent. Cross-attention is `read(x, kept, ...)` over `remember(memory, place_of_memory)`, computed once.
    An owner offers: dim, num_heads, dropout, bias, epsilon, layer (from 0), num_layers.

    rotary_dim: how many features of a head a position may rotate.
    """

    rotary_dim: int
    rules: ClassVar[dict[str, str]] = {}
    provides: ClassVar[tuple[str, ...]] = ()

    def remember(self, x: Tensor, place: Place) -> tuple[Tensor, ...]:
        """What is kept of x (B, S, D). Every tensor has the batch first; RowCache needs tokens next to last: (B, K, S, d)."""
        raise NotImplementedError

    def read(self, x: Tensor, kept: tuple[Tensor, ...], place: Place, mask: Mask, bias: Tensor | None = None) -> Tensor:
        """x (B, T, D) looks at what was kept; bias (B or 1, H, T, S) is added to its scores. Returns (B, T, D)."""
        raise NotImplementedError

    def cache(self) -> Cache:
        """An empty cache for what `remember` keeps."""
        return KVCache()
