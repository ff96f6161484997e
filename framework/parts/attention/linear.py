"""Attention as a running sum."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from framework.parts.attention.base import Attention
from framework.parts.caches import Cache
from framework.parts.layout import SequenceLayout
from framework.parts.masks import Mask
from framework.registry import register


@register("attention")
class LinearAttention(Attention):
    """Attention with the kernel elu(x) + 1, linear in the length. Katharopoulos et al. 2020, section 3, https://arxiv.org/abs/2006.16236

    A rotation turns the features of the numerator alone, and the normalizer stays positive: Su et al. 2021, section 3.3 (equation 19),
    https://arxiv.org/abs/2104.09864

    head_dim: features of a head; null = the width divided by the heads.
    chunk: tokens of a causal text that look at each other by a matrix of scores; what is further left is a sum.
    """

    rules: ClassVar[dict[str, str]] = {
        "head_dim is not None or dim % num_heads == 0": "the heads share the width evenly",
        "chunk > 0": "a chunk has tokens",
        "'bias' not in provided": "keys are summed before a query sees them, so no single score is left to add a position's bias to",
        "'window' not in provided": "keys are summed for good, so none can be taken out again when a window has passed it",
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
        """Keys turned, keys, values: (B, H, S, d) each. The key of a padding token is zero and adds nothing to any sum."""
        key = self._features(self.key(x))
        if layout.padding_mask is not None:
            key = key * layout.padding_mask[:, None, :, None]
        return layout.apply_rotary(key), key, self._split(self.value(x)).to(key.dtype)

    def forward(self, x: Tensor, keys_values: tuple[Tensor, ...], layout: SequenceLayout, mask: Mask, bias: Tensor | None = None) -> Tensor:
        """keys_values: as from `keys_values`, and from a cache the two sums over all tokens before them."""
        assert bias is None and mask.window is None, "the rules refuse a bias and a window"
        query = self._features(self.query(x))  # (B, H, T, d)
        turned = layout.apply_rotary(query)
        if mask.documents is not None:
            seen, weight = _masked(turned, query, keys_values, mask)
        elif mask.causal:
            seen, weight = _causal(turned, query, keys_values, self.chunk)
        else:
            turned_key, key, value = keys_values
            seen = turned @ (turned_key.transpose(-1, -2) @ value)  # (B, H, T, d)
            weight = query @ key.sum(-2)[..., None]  # (B, H, T, 1)
        seen = seen / weight.masked_fill(weight == 0, 1.0)  # a padding query may have nothing to look at: it reads zeros
        return self.output(seen.to(x.dtype).transpose(1, 2).flatten(2))  # (B, T, D)

    def _features(self, x: Tensor) -> Tensor:
        x = self._split(x)
        return functional.elu(x.float() if x.dtype in (torch.float16, torch.bfloat16) else x) + 1  # sums need the digits

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.rotary_dim)).transpose(1, 2)  # (B, T, H d) -> (B, H, T, d)


def _masked(turned: Tensor, query: Tensor, keys_values: tuple[Tensor, ...], mask: Mask) -> tuple[Tensor, Tensor]:
    """Numerator and normalizer where what is seen is no prefix of the row: by the matrix of all scores."""
    turned_key, key, value = keys_values
    allowed = mask.kernel()["attn_mask"]  # (B, 1, T, S)
    seen = (turned @ turned_key.transpose(-1, -2) * allowed) @ value
    return seen, (query @ key.transpose(-1, -2) * allowed).sum(-1, keepdim=True)


def _causal(turned: Tensor, query: Tensor, keys_values: tuple[Tensor, ...], chunk: int) -> tuple[Tensor, Tensor]:
    """Numerator (B, H, T, d) and normalizer (B, H, T, 1): scores inside a chunk, sums of the chunks before it."""
    turned_key, key, value, *before = keys_values
    length = turned.shape[-2]
    if torch.compiler.is_exporting():
        chunk = length  # an exported program is for any length, and the number of chunks would be fixed in it
    count, chunk = (1, length) if chunk >= length else (-(-length // chunk), chunk)  # N, C
    turned, turned_key, chunked = (
        functional.pad(x, (0, 0, 0, count * chunk - length)).unflatten(-2, (count, chunk)) for x in (turned, turned_key, value)
    )  # (B, H, N, C, d)
    sums = (turned_key[:, :, :-1].transpose(-1, -2) @ chunked[:, :, :-1]).cumsum(2)
    sums = functional.pad(sums, (0, 0, 0, 0, 1, 0))  # (B, H, N, d, d): what lies before each chunk
    keys = key.cumsum(-2)  # (B, H, T, d)
    if before:
        sums, keys = sums + before[0][:, :, None], keys + before[1]
    near = (turned @ turned_key.transpose(-1, -2)).tril() @ chunked
    seen = (near + turned @ sums).flatten(2, 3)[:, :, :length]
    return seen, (query * keys).sum(-1, keepdim=True)


class LinearAttentionCache(Cache):
    """The sums over all tokens but the last append, and the rows of that one: as far back as a running state can forget."""

    def __init__(self) -> None:
        self.before: tuple[Tensor, ...] = ()  # sum of keys x values (B, H, d, d), sum of keys (B, H, 1, d)
        self.rows: tuple[Tensor, ...] = ()  # keys turned, keys, values of the last append
        self.passed = 0  # tokens in the sums

    def update(self, keys_values: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if self.rows:
            self.passed += self.rows[0].shape[-2]
            self.before = self.state()
        self.rows = keys_values
        return (*self.rows, *self.before)

    def state(self) -> tuple[Tensor, ...]:
        """The sums over all tokens."""
        turned_key, key, value = self.rows
        sums = (turned_key.transpose(-1, -2) @ value, key.sum(-2, keepdim=True))
        return tuple(old + new for old, new in zip(self.before, sums, strict=True)) if self.before else sums

    def load_state(self, tensors: tuple[Tensor, ...], length: int) -> None:
        self.before, self.rows, self.passed = tensors, (), length

    def reorder(self, rows: Tensor) -> None:
        self.before = tuple(x.index_select(0, rows) for x in self.before)
        self.rows = tuple(x.index_select(0, rows) for x in self.rows)

    def crop(self, length: int) -> None:
        assert length >= self.passed, f"a running sum goes back to {self.passed} tokens, the start of the last append, not to {length}"
        self.rows = tuple(x[..., : length - self.passed, :] for x in self.rows)
