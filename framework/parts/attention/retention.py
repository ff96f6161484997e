"""Retention: a state of associations for each head, which fades with the distance of tokens.

Shapes: B batch, T tokens, C tokens of a chunk, N chunks, H heads, d features of a head.
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from framework.parts.attention.base import Attention, recurrent_rules
from framework.parts.caches import Cache, KVCache
from framework.parts.layout import SequenceLayout
from framework.parts.masks import Mask
from framework.registry import register

TEMPERATURE = 16.0  # of gates, which are to forget slowly: Yang et al. 2024 (GLA), section 4.4


@register("attention")
class RetentionAttention(Attention):
    """Retention: sum of (a ... a) (q k) v over all tokens so far, a decay a for each token between. Sun et al. 2023, section 2,
    https://arxiv.org/abs/2307.08621

    The output has a norm for each head and a SiLU gate. In training chunks of tokens are computed by matrix products; in decoding the state
    S_t = a_t S_(t-1) + k_t v_t^T is carried from token to token. Any rotary embedding takes the place of the paper's xPos.

    head_dim: features of a head; null = dim / num_heads.
    decay: `fixed`, 1 - 2^(-5 - h) for head h from 0, as in the paper; or `gated`, computed from each token: gated linear attention with a
        gate for each head, Yang et al. 2024, section 4.4, https://arxiv.org/abs/2312.06635
    chunk: tokens whose scores are computed as a matrix.
    """

    rules: ClassVar[dict[str, str]] = {
        "head_dim is None or 0 < head_dim <= 2**16": "head_dim must be positive, and at most 2**16",
        "head_dim is not None or dim % num_heads == 0": "dim must be a multiple of num_heads where head_dim is null",
        "decay != 'fixed' or num_heads <= 64": "decays of more than 64 heads are 1 in float64: choose decay=gated, or fewer heads",
        "chunk > 0": "chunk must be positive",
        **recurrent_rules("retention"),
    }

    def __init__(
        self,
        dim: int,
        num_heads: int,
        bias: bool,
        epsilon: float,
        causal: bool,
        head_dim: int | None = None,
        decay: Literal["fixed", "gated"] = "fixed",
        chunk: int = 64,
    ):
        super().__init__()
        self.num_heads, self.rotary_dim, self.chunk = num_heads, head_dim or dim // num_heads, chunk
        features = num_heads * self.rotary_dim
        self.query = nn.Linear(dim, features, bias=bias)
        self.key = nn.Linear(dim, features, bias=bias)
        self.value = nn.Linear(dim, features, bias=bias)
        self.gate = nn.Linear(dim, features, bias=bias)
        self.output = nn.Linear(features, dim, bias=bias)
        self.norm = nn.RMSNorm(self.rotary_dim, eps=epsilon, elementwise_affine=False)
        self.forget = nn.Linear(dim, num_heads) if decay == "gated" else None

    def cache(self) -> Cache:
        return RetentionCache()

    def keys_values(self, x: Tensor, layout: SequenceLayout) -> tuple[Tensor, ...]:
        """Rotated keys, values (B, H, T, d), logarithms of the decays (B, H, T). A padding token adds nothing, and nothing fades at it."""
        key, value = layout.apply_rotary(self._split(self.key(x))), self._split(self.value(x))
        decay = self._decay(x)
        if layout.padding_mask is not None:
            token = layout.padding_mask[:, None]  # (B, 1, T)
            key, decay = key * token[..., None], decay * token
        return key, value, decay

    def forward(self, x: Tensor, keys_values: tuple[Tensor, ...], layout: SequenceLayout, mask: Mask) -> Tensor:
        """keys_values: as from `keys_values`; a cache adds the state (B, H, d, d) before them."""
        assert mask.bias is None and mask.window is None and mask.causal, "the rules refuse a bias, a window and an encoder"
        query = layout.apply_rotary(self._split(self.query(x))) * self.rotary_dim**-0.5
        documents = None if mask.documents is None else mask.documents[0]
        retained = self.norm(retention(query, *keys_values, chunk=self.chunk, documents=documents).to(x.dtype))
        gated = retained.transpose(1, 2).flatten(2) * functional.silu(self.gate(x))
        return self.output(gated)  # (B, T, D)

    def _decay(self, x: Tensor) -> Tensor:
        """Logarithms of the decays (B, H, T)."""
        dtype = torch.promote_types(x.dtype, torch.float32)  # sums over all tokens need the precision
        if self.forget is not None:
            return functional.logsigmoid(self.forget(x).to(dtype)).transpose(1, 2) / TEMPERATURE
        heads = torch.arange(self.num_heads, device=x.device, dtype=dtype)
        return torch.log1p(-(2.0 ** (-5 - heads)))[None, :, None].expand(x.shape[0], -1, x.shape[1])

    def _split(self, x: Tensor) -> Tensor:
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (B, T, H d) -> (B, H, T, d)


def retention(
    query: Tensor, key: Tensor, value: Tensor, decay: Tensor, state: Tensor | None = None, *, chunk: int, documents: Tensor | None = None
) -> Tensor:
    """The sums over all tokens so far, in chunks. Sun et al. 2023, section 2.2 (equation 7).

    query, key, value: (B, H, T, d). decay: (B, H, T), logarithms. state: (B, H, d, d) before the first token. documents: (B, T), each
    begins with an empty state; all tokens are one chunk then.
    """
    length = query.shape[2]
    chunk = length if documents is not None or torch.compiler.is_exporting() else min(length, chunk)
    count = -(-length // chunk)
    padding = count * chunk - length
    query, key, value = (functional.pad(x, (0, 0, 0, padding)).unflatten(2, (count, chunk)) for x in (query, key, value))  # (B, H, N, C, d)
    total = functional.pad(decay, (0, padding)).unflatten(2, (count, chunk)).cumsum(-1)  # (B, H, N, C)
    past = torch.ones(chunk, chunk, dtype=torch.bool, device=query.device).tril()
    if documents is not None:
        past = past & (documents[:, :, None] == documents[:, None, :])[:, None, None]  # (B, 1, 1, T, T)
    ratio = (total[..., :, None] - total[..., None, :]).masked_fill(~past, -torch.inf).exp()  # (B, H, N, C, C)
    retained = (query @ key.mT * ratio) @ value
    added = (key * (total[..., -1:] - total).exp()[..., None]).mT @ value  # (B, H, N, d, d), what each chunk adds to the state
    faded = total.exp()[..., None]  # (B, H, N, C, 1), of the state before a chunk
    parts = []
    for n in range(count):
        part = retained[:, :, n]
        if state is not None:
            part = part + (query[:, :, n] * faded[:, :, n]) @ state
            state = state * faded[:, :, n, -1:] + added[:, :, n]
        elif documents is None:
            state = added[:, :, n]
        parts.append(part)
    return torch.cat(parts, dim=2)[:, :, :length]


class RetentionCache(KVCache):
    """The state over all tokens so far, (B, H, d, d)."""

    def update(self, keys_values: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Keys, values and decays of the new tokens, and the state before them."""
        key, value, decay = keys_values
        total = decay.cumsum(-1)
        new = (key * (total[..., -1:] - total).exp()[..., None]).mT @ value
        before = self.tensors
        self.tensors = (before[0] * total[..., -1, None, None].exp() + new,) if before else (new,)
        return (*keys_values, *before)
