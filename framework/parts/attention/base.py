"""Base class of attention mechanisms."""

from typing import ClassVar

from torch import Tensor, nn

from framework.parts.caches import Cache, KVCache
from framework.parts.layout import SequenceLayout
from framework.parts.masks import Mask


def recurrent_rules(name: str) -> dict[str, str]:
    """Rules of an attention that keeps one state of all tokens so far in place of scores, for the self-attention of decoders."""
    return {
        "causal": f"{name} reads its tokens from left to right: take it for the self-attention of a decoder",
        "'bidirectional' not in provided": f"{name} reads its tokens from left to right: take it in a decoder (model.decoder)",
        "'bias' not in provided": f"{name} has no scores to add a position bias to",
        "'window' not in provided": f"{name} keeps one state of all tokens and cannot drop those outside a window",
    }


class Attention(nn.Module):
    """Attention in two steps: keys and values of the context, then attention of the queries to them.

    Self-attention is `attention(x, attention.keys_values(x, layout), layout, mask)`; in incremental decoding a cache appends the
    keys and values in between. Cross-attention takes keys and values of the encoder output, computed once.
    Context arguments: dim, num_heads, num_layers, dropout, bias, epsilon, layer (from 0), causal (whether it is
    the self-attention of a decoder).

    rotary_dim: features of a head that a position may rotate.

    >>> attention = Part("attention/multi_head", num_kv_heads=2)(dim=64, num_heads=4, dropout=0.0, bias=True, epsilon=1e-5)
    >>> x, layout = torch.randn(1, 5, 64), SequenceLayout(torch.arange(5)[None])
    >>> keys_values = attention.keys_values(x, layout)
    >>> [tuple(tensor.shape) for tensor in keys_values]
    [(1, 2, 5, 16), (1, 2, 5, 16)]
    >>> attention(x, keys_values, layout, Mask(5, 5, causal=True)).shape
    torch.Size([1, 5, 64])
    """

    rotary_dim: int
    rules: ClassVar[dict[str, str]] = {}
    provides: ClassVar[tuple[str, ...] | dict[str, str]] = ()

    def keys_values(self, x: Tensor, layout: SequenceLayout) -> tuple[Tensor, ...]:
        """Keys and values of x (B, S, D), batch first. KVCache needs the tokens in the last dimension but one: (B, K, S, d)."""
        raise NotImplementedError

    def forward(self, x: Tensor, keys_values: tuple[Tensor, ...], layout: SequenceLayout, mask: Mask) -> Tensor:
        """Attention of queries from x (B, T, D) to keys and values, under mask and bias of `mask`. Returns (B, T, D)."""
        raise NotImplementedError

    def cache(self) -> Cache:
        """An empty cache for incremental decoding."""
        return KVCache()
