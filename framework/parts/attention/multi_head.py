"""Multi-head scaled dot-product attention, with grouped or shared key/value heads."""

from dataclasses import replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from framework.errors import UserError
from framework.parts.attention.base import Attention
from framework.parts.attention.kernels import attend
from framework.parts.layout import SequenceLayout
from framework.parts.masks import Mask
from framework.registry import Part, choice, register


@register("attention", context=("layer",))
class MultiHeadAttention(Attention):
    """Multi-head scaled dot-product attention. Vaswani et al. 2017, section 3.2, https://arxiv.org/abs/1706.03762

    num_kv_heads: key/value heads, each shared by a group of query heads; null = num_heads, 1 = multi-query attention.
        Ainslie et al. 2023, section 2.2, https://arxiv.org/abs/2305.13245
    head_dim: features of a head; null = dim / num_heads.
    scale: multiplier of the scores; null = 1 / sqrt(head_dim) (T5: 1).
    input_bias: whether the query, key and value projections have a bias; null = the model's bias (Qwen 2: true without model.bias).
    weights_dropout: dropout of the attention weights; null = the model's dropout (BART: 0).
    qk_norm: the norm of queries and keys. Henry et al. 2020, section 2.3, https://arxiv.org/abs/2010.04245
    qk_norm_over: what it normalizes: each `head`, or `all_heads` at once. OLMo Team 2025 (OLMo 2), section 3.3.2,
        https://arxiv.org/abs/2501.00656
    logit_cap: scores s become logit_cap * tanh(s / logit_cap), which keeps them below it; null = they stay as they are.
        Gemma Team 2024 (Gemma 2), section 2, https://arxiv.org/abs/2408.00118
    sinks: whether the softmax of each head has a learned logit more, of a key without value, so that a head may attend to nothing.
        OpenAI 2025 (gpt-oss), section 2.2, https://arxiv.org/abs/2508.10925
    gate: multiplies each head's output by the sigmoid of a projection of the input, one number for each `feature` or for each `head`;
        null = no gate. Qiu et al. 2025, section 2.2, https://arxiv.org/abs/2505.06708
    value_residual: whether values v become (1 - s) v + s v1, v1 those of the first layer and s learned, in the beginning 1/2.
        Zhou et al. 2024, section 3.3, https://arxiv.org/abs/2410.17897
    """

    rules: ClassVar[dict[str, str]] = {
        "scale is None or scale > 0": "scale must be positive; null = 1 / sqrt(head_dim)",
        "head_dim is not None or dim % num_heads == 0": "dim must be a multiple of num_heads where head_dim is null",
        "head_dim is None or 0 < head_dim <= 2**16": "head_dim must be positive, and at most 2**16",
        "num_kv_heads is None or num_kv_heads > 0 and num_heads % num_kv_heads == 0": "num_heads must be a multiple of num_kv_heads",
        "logit_cap is None or logit_cap > 0": "logit_cap must be positive; null = scores without a cap",
        "not value_residual or 'shared_layers' not in provided": "layers that share their weights have no values of a first layer",
        "weights_dropout is None or 0 <= weights_dropout < 1": "weights_dropout must be in [0, 1)",
    }

    provides: ClassVar[dict[str, str]] = {
        "odd_heads": "(head_dim or dim // num_heads) % 2 == 1",
        "relative_scores": "True",
        "projected_vectors": "True",
    }
    option_traits: ClassVar = {"training_only": ("weights_dropout",)}

    def __init__(
        self,
        dim: int,
        num_heads: int,
        dropout: float,
        bias: bool,
        epsilon: float,
        num_kv_heads: int | None = None,
        head_dim: int | None = None,
        scale: float | None = None,
        input_bias: bool | None = None,
        weights_dropout: float | None = None,
        qk_norm: Part = choice("norm", "none"),
        qk_norm_over: Literal["head", "all_heads"] = "head",
        logit_cap: float | None = None,
        sinks: bool = False,
        gate: Literal["feature", "head"] | None = None,
        value_residual: bool = False,
        layer: int = 0,
    ):
        super().__init__()
        num_kv_heads = num_kv_heads or num_heads
        inner = bias if input_bias is None else input_bias
        self.rotary_dim = head_dim or dim // num_heads
        self.query = nn.Linear(dim, num_heads * self.rotary_dim, bias=inner)
        self.key = nn.Linear(dim, num_kv_heads * self.rotary_dim, bias=inner)
        self.value = nn.Linear(dim, num_kv_heads * self.rotary_dim, bias=inner)
        self.output = nn.Linear(num_heads * self.rotary_dim, dim, bias=bias)
        self.normed_heads = qk_norm_over == "head"
        normed = (1, 1) if self.normed_heads else (num_heads, num_kv_heads)
        self.query_norm, self.key_norm = (qk_norm(dim=heads * self.rotary_dim, epsilon=epsilon, bias=bias) for heads in normed)
        self.sinks = nn.Parameter(torch.zeros(num_heads)) if sinks else None
        self.gate = nn.Linear(dim, num_heads * (self.rotary_dim if gate == "feature" else 1), bias=inner) if gate else None
        self.dropout, self.scale = dropout if weights_dropout is None else weights_dropout, scale
        self.logit_cap = logit_cap
        self.layer, self.value_residual = layer, value_residual
        self.first_share = nn.Parameter(torch.tensor(0.5)) if value_residual and layer else None

    def keys_values(self, x: Tensor, layout: SequenceLayout) -> tuple[Tensor, ...]:
        return layout.apply_rotary(self._normed(self.key(x), self.key_norm)), self._values(x, layout)  # 2 x (B, K, S, d)

    def forward(self, x: Tensor, keys_values: tuple[Tensor, ...], layout: SequenceLayout, mask: Mask) -> Tensor:
        query = layout.apply_rotary(self._normed(self.query(x), self.query_norm))  # (B, H, T, d)
        key, value = keys_values
        mask = mask if mask.vectors is None else self._with_vectors(mask, query, key, *mask.vectors)
        rate = self.dropout if self.training else 0.0
        attended = attend(query, key, value, mask, rate, self.scale, self.logit_cap, self.sinks)  # (B, H, T, d)
        if self.gate is not None:
            attended = attended * self.gate(x).unflatten(-1, (attended.shape[1], -1)).transpose(1, 2).sigmoid()
        return self.output(attended.transpose(1, 2).flatten(2))  # (B, T, D)

    def _with_vectors(self, mask: Mask, query: Tensor, key: Tensor, table: Tensor, places: Tensor) -> Mask:
        """The mask with the scores of queries and keys with those of vectors (P, D) at places (B or 1, T, S) as bias."""
        groups = query.shape[1] // key.shape[1]
        keys = self._normed(self.key(table[None]), self.key_norm).repeat_interleave(groups, dim=1)  # (1, H, P, d)
        queries = self._normed(self.query(table[None]), self.query_norm)
        places = places[:, None].expand(query.shape[0], query.shape[1], -1, -1)  # (B, H, T, S)
        of_queries = (query @ keys.mT).gather(-1, places)
        of_keys = (key.repeat_interleave(groups, dim=1) @ queries.mT).gather(-1, places.mT).mT
        scale = self.rotary_dim**-0.5 if self.scale is None else self.scale
        bias = scale * (of_queries + of_keys)
        return replace(mask, bias=bias if mask.bias is None else mask.bias + bias, vectors=None)

    def _values(self, x: Tensor, layout: SequenceLayout) -> Tensor:
        """The values (B, K, S, d), mixed with those of the first layer that has this option."""
        value = self._split(self.value(x))
        if not self.value_residual or layout.shared is None:
            return value
        layer, first = layout.shared.setdefault("value_residual", (self.layer, value))
        if self.first_share is None:
            return value
        first = value if layer == self.layer else first
        if first.shape != value.shape:
            raise UserError(
                f"value_residual adds values of layer {layer} to those of {self.layer}, which need the same num_kv_heads and head_dim: "
                f"they have {tuple(first.shape[1::2])} and {tuple(value.shape[1::2])}"
            )
        return value + self.first_share * (first - value)

    def _normed(self, x: Tensor, norm: nn.Module) -> Tensor:
        """The normalized heads (B, H, T, d) of x (B, T, H d)."""
        return norm(self._split(x)) if self.normed_heads else self._split(norm(x))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.rotary_dim)).transpose(1, 2)  # (B, T, H d) -> (B, H, T, d)
