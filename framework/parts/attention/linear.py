"""Linear attention: a running sum over keys and values instead of a softmax over scores."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from framework.parts.attention.base import Attention
from framework.parts.caches import Cache, KVCache
from framework.parts.layout import SequenceLayout
from framework.parts.masks import Mask
from framework.registry import register


@register("attention")
class LinearAttention(Attention):
    """Linear attention with the feature map elu(x) + 1. Katharopoulos et al. 2020, section 3, https://arxiv.org/abs/2006.16236

    A rotary embedding rotates the numerator alone, which keeps the normalizer positive: Su et al. 2021, section 3.3 (equation 19),
    https://arxiv.org/abs/2104.09864

    head_dim: features of a head; null = dim / num_heads.
    chunk: tokens of a causal sequence whose scores are computed as a matrix; tokens before the chunk enter as a sum.
    """

    rules: ClassVar[dict[str, str]] = {
        "head_dim is None or 0 < head_dim <= 2**16": "head_dim must be positive, and at most 2**16",
        "head_dim is not None or dim % num_heads == 0": "dim must be a multiple of num_heads where head_dim is null",
        "chunk > 0": "chunk must be positive",
        "'bias' not in provided": "linear attention has no scores to add a position bias to",
        "'window' not in provided": "linear attention sums all keys and cannot drop those outside a window",
    }

    def __init__(self, dim: int, num_heads: int, bias: bool, head_dim: int | None = None, chunk: int = 64):
        super().__init__()
        self.rotary_dim = head_dim or dim // num_heads
        self.chunk = chunk
        self.query = nn.Linear(dim, num_heads * self.rotary_dim, bias=bias)
        self.key = nn.Linear(dim, num_heads * self.rotary_dim, bias=bias)
        self.value = nn.Linear(dim, num_heads * self.rotary_dim, bias=bias)
        self.output = nn.Linear(num_heads * self.rotary_dim, dim, bias=bias)

    def cache(self) -> Cache:
        return LinearAttentionCache()

    def keys_values(self, x: Tensor, layout: SequenceLayout) -> tuple[Tensor, ...]:
        """Rotated keys, keys, values: (B, H, S, d) each. Keys of padding tokens are zero and add nothing to a sum."""
        key = self._features(self.key(x))
        if layout.padding_mask is not None:
            key = key * layout.padding_mask[:, None, :, None]
        return layout.apply_rotary(key), key, self._split(self.value(x)).to(key.dtype)

    def forward(self, x: Tensor, keys_values: tuple[Tensor, ...], layout: SequenceLayout, mask: Mask) -> Tensor:
        """keys_values: as from `keys_values`; a cache adds the two sums over all tokens before them."""
        assert mask.bias is None and mask.window is None, "the rules refuse a bias and a window"
        query = self._features(self.query(x))  # (B, H, T, d)
        rotated = layout.apply_rotary(query)
        if mask.documents is not None:
            attended, weight = _masked(rotated, query, keys_values, mask)
        elif mask.causal:
            attended, weight = _causal(rotated, query, keys_values, self.chunk)
        else:
            rotated_key, key, value = keys_values
            attended = rotated @ (rotated_key.transpose(-1, -2) @ value)  # (B, H, T, d)
            weight = query @ key.sum(-2)[..., None]  # (B, H, T, 1)
        attended = attended / weight.masked_fill(weight == 0, 1.0)  # a padding query may have no key: zeros
        return self.output(attended.to(x.dtype).transpose(1, 2).flatten(2))  # (B, T, D)

    def _features(self, x: Tensor) -> Tensor:
        x = self._split(x)
        return functional.elu(x.float() if x.dtype in (torch.float16, torch.bfloat16) else x) + 1  # sums need the precision

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.rotary_dim)).transpose(1, 2)  # (B, T, H d) -> (B, H, T, d)


def _masked(rotated: Tensor, query: Tensor, keys_values: tuple[Tensor, ...], mask: Mask) -> tuple[Tensor, Tensor]:
    """Numerator and normalizer under any mask, by the matrix of all scores."""
    rotated_key, key, value = keys_values
    allowed = mask.sdpa()["attn_mask"]  # (B, 1, T, S)
    attended = (rotated @ rotated_key.transpose(-1, -2) * allowed) @ value
    return attended, (query @ key.transpose(-1, -2) * allowed).sum(-1, keepdim=True)


def _causal(rotated: Tensor, query: Tensor, keys_values: tuple[Tensor, ...], chunk: int) -> tuple[Tensor, Tensor]:
    """Numerator (B, H, T, d) and normalizer (B, H, T, 1): scores inside a chunk, sums of the chunks before it."""
    rotated_key, key, value, *before = keys_values
    length = rotated.shape[-2]
    if torch.compiler.is_exporting():
        chunk = length  # an exported program serves any length; the number of chunks would be a constant in it
    count, chunk = (1, length) if chunk >= length else (-(-length // chunk), chunk)  # N, C
    rotated, rotated_key, chunked = (
        functional.pad(x, (0, 0, 0, count * chunk - length)).unflatten(-2, (count, chunk)) for x in (rotated, rotated_key, value)
    )  # (B, H, N, C, d)
    sums = (rotated_key[:, :, :-1].transpose(-1, -2) @ chunked[:, :, :-1]).cumsum(2)
    sums = functional.pad(sums, (0, 0, 0, 0, 1, 0))  # (B, H, N, d, d): over all tokens before each chunk
    keys = key.cumsum(-2)  # (B, H, T, d)
    if before:
        sums, keys = sums + before[0][:, :, None], keys + before[1]
    near = (rotated @ rotated_key.transpose(-1, -2)).tril() @ chunked
    attended = (near + rotated @ sums).flatten(2, 3)[:, :, :length]
    return attended, (query * keys).sum(-1, keepdim=True)


class LinearAttentionCache(KVCache):
    """Two sums over all tokens so far: of keys x values (B, H, d, d), and of keys (B, H, 1, d)."""

    def update(self, keys_values: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        before, (rotated_key, key, value) = self.tensors, keys_values
        new = (rotated_key.transpose(-1, -2) @ value, key.sum(-2, keepdim=True))
        self.tensors = tuple(old + more for old, more in zip(before, new, strict=True)) if before else new
        return (*keys_values, *before)
