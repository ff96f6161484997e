"""Multi-head latent attention: keys and values of all heads from one small vector for each token, which the cache holds."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from framework.parts.attention.base import Attention
from framework.parts.attention.kernels import attend
from framework.parts.layout import SequenceLayout
from framework.parts.masks import Mask
from framework.registry import register


@register("attention")
class LatentAttention(Attention):
    """Multi-head latent attention (MLA): keys and values from a small latent. DeepSeek-V2 2024, section 2.1, https://arxiv.org/abs/2405.04434

    One rotated key, which all heads share, stands beside those from the latent. The cache holds both: latent_dim + rotated_dim numbers for
    each token, however many heads there are. Where there are fewer queries than keys, as in decoding, the map from latents to keys is
    applied to the queries, and that to values to the output (appendix C), so that keys and values of the heads are never computed.

    latent_dim: features of the latent; null = 4 dim / num_heads, as in the paper.
    query_dim: features of a latent for the queries; null = queries are projected from the input.
    head_dim: features of a head that are not rotated, and of its values; null = dim / num_heads.
    rotated_dim: features of the shared rotated key; null = half of head_dim, rounded up to an even number.
    scale: multiplier of the scores; null = 1 / sqrt(head_dim + rotated_dim).
    weights_dropout: dropout of the attention weights; null = the model's dropout.
    """

    rules: ClassVar[dict[str, str]] = {
        "head_dim is None or 0 < head_dim <= 2**16": "head_dim must be positive, and at most 2**16",
        "head_dim is not None or dim % num_heads == 0": "dim must be a multiple of num_heads where head_dim is null",
        "latent_dim is None or 0 < latent_dim <= 2**16": "latent_dim must be positive, and at most 2**16",
        "query_dim is None or 0 < query_dim <= 2**16": "query_dim must be positive, and at most 2**16",
        "rotated_dim is None or 0 < rotated_dim <= 2**16": "rotated_dim must be positive, and at most 2**16",
        "scale is None or scale > 0": "scale must be positive; null = 1 / sqrt(head_dim + rotated_dim)",
        "weights_dropout is None or 0 <= weights_dropout < 1": "weights_dropout must be in [0, 1)",
    }
    provides: ClassVar[dict[str, str]] = {"odd_heads": "rotated_dim is not None and rotated_dim % 2 == 1"}
    option_traits: ClassVar = {"training_only": ("weights_dropout",)}

    def __init__(
        self,
        dim: int,
        num_heads: int,
        dropout: float,
        bias: bool,
        epsilon: float,
        latent_dim: int | None = None,
        query_dim: int | None = None,
        head_dim: int | None = None,
        rotated_dim: int | None = None,
        scale: float | None = None,
        weights_dropout: float | None = None,
    ):
        super().__init__()
        self.num_heads, self.head_dim = num_heads, head_dim or dim // num_heads
        self.latent_dim = latent_dim or 4 * self.head_dim
        self.rotary_dim = rotated_dim or -(-self.head_dim // 4) * 2
        queries = num_heads * (self.head_dim + self.rotary_dim)
        self.has_query_latent = query_dim is not None
        if query_dim is None:
            self.query = nn.Linear(dim, queries, bias=False)
        else:
            self.query_down = nn.Linear(dim, query_dim, bias=bias)
            self.query_norm = nn.RMSNorm(query_dim, eps=epsilon)
            self.query_up = nn.Linear(query_dim, queries, bias=False)
        self.down = nn.Linear(dim, self.latent_dim + self.rotary_dim, bias=bias)
        self.norm = nn.RMSNorm(self.latent_dim, eps=epsilon)
        self.up = nn.Linear(self.latent_dim, num_heads * 2 * self.head_dim, bias=False)  # a bias of keys would shift all scores alike
        self.output = nn.Linear(num_heads * self.head_dim, dim, bias=bias)
        self.scale = (self.head_dim + self.rotary_dim) ** -0.5 if scale is None else scale
        self.dropout = dropout if weights_dropout is None else weights_dropout

    def keys_values(self, x: Tensor, layout: SequenceLayout) -> tuple[Tensor, ...]:
        """The latent (B, 1, S, latent_dim) and the shared rotated key (B, 1, S, rotated_dim)."""
        latent, key = self.down(x)[:, None].split([self.latent_dim, self.rotary_dim], dim=-1)
        return self.norm(latent), layout.apply_rotary(key)

    def forward(self, x: Tensor, keys_values: tuple[Tensor, ...], layout: SequenceLayout, mask: Mask) -> Tensor:
        latent, shared = keys_values
        queries = self.query_up(self.query_norm(self.query_down(x))) if self.has_query_latent else self.query(x)
        query = queries.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (B, H, T, head_dim + rotated_dim)
        query, rotated = query.split([self.head_dim, self.rotary_dim], dim=-1)
        rotated, rate = layout.apply_rotary(rotated), self.dropout if self.training else 0.0
        if torch.compiler.is_exporting() or query.shape[2] < latent.shape[2]:  # an exported program serves any number of queries
            of_keys, of_values = self.up.weight.unflatten(0, (self.num_heads, 2, -1)).unbind(1)  # (H, head_dim, latent_dim) each
            query = torch.cat((query @ of_keys, rotated), dim=-1)  # (B, H, T, latent_dim + rotated_dim)
            attended = attend(query, torch.cat((latent, shared), dim=-1), latent, mask, rate, self.scale) @ of_values.mT
        else:
            key, value = self.up(latent[:, 0]).unflatten(-1, (self.num_heads, 2, -1)).permute(3, 0, 2, 1, 4)  # (B, H, S, head_dim) each
            key = torch.cat((key, shared.expand(-1, self.num_heads, -1, -1)), dim=-1)
            attended = attend(torch.cat((query, rotated), dim=-1), key, value, mask, rate, self.scale)  # (B, H, T, head_dim)
        return self.output(attended.transpose(1, 2).flatten(2))  # (B, T, D)
