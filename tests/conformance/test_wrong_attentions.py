"""Attentions that are wrong on purpose: each is rejected by the name of the promise that it breaks."""

from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import nn

from framework.parts.attention.base import Attention
from framework.parts.caches import KVCache
from framework.parts.masks import Mask
from framework.registry import Part
from framework.testing import AttentionPromises
from tests.conformance.rejects import assert_rejected


class Plain(Attention):
    """Nothing is wrong with this one."""

    def __init__(self, dim: int, num_heads: int, bias: bool):
        super().__init__()
        self.rotary_dim = dim // num_heads
        self.query, self.key, self.value, self.output = (nn.Linear(dim, dim, bias=bias) for _ in range(4))

    def keys_values(self, x, layout):
        return layout.apply_rotary(self.split(self.key(x))), self.split(self.value(x))

    def queries(self, x, layout):
        return layout.apply_rotary(self.split(self.query(x)))

    def scores(self, query, key, mask):
        scores = query @ key.mT / self.rotary_dim**0.5
        scores = scores if mask.bias is None else scores + mask.bias
        allowed = mask.dense()
        return scores if allowed is None else scores.masked_fill(~allowed, float("-inf"))

    def forward(self, x, keys_values, layout, mask):
        query, (key, value) = self.queries(x, layout), keys_values
        return self.output(self.attend(self.scores(query, key, mask), value).transpose(1, 2).flatten(2))

    def attend(self, scores, value):
        return scores.softmax(-1) @ value

    def split(self, x):
        return x.unflatten(-1, (-1, self.rotary_dim)).transpose(1, 2)


class SoftmaxInFloat32(Plain):
    """Nothing is wrong with this one either."""

    def attend(self, scores, value):
        return scores.float().softmax(-1).to(value.dtype) @ value


class IgnoresPadding(Plain):
    def scores(self, query, key, mask):
        return super().scores(query, key, replace(mask, padding_mask=None))


class SeesOneTokenAhead(Plain):
    def scores(self, query, key, mask):
        scores = super().scores(query, key, replace(mask, causal=False))
        future = torch.ones(mask.queries, mask.keys, dtype=torch.bool).triu(mask.keys - mask.queries + 2)
        return scores.masked_fill(future, float("-inf")) if mask.causal else scores


class IgnoresTheLengthOfTheCache(Plain):
    """The causal mask of a text that begins here."""

    def scores(self, query, key, mask):
        scores = super().scores(query, key, replace(mask, causal=False, padding_mask=None if mask.causal else mask.padding_mask))
        future = torch.ones(mask.queries, mask.keys, dtype=torch.bool).triu(1)
        return scores.masked_fill(future, float("-inf")) if mask.causal else scores


class IgnoresDocuments(Plain):
    def scores(self, query, key, mask):
        return super().scores(query, key, replace(mask, documents=None))


class IgnoresTheWindow(Plain):
    def scores(self, query, key, mask):
        return super().scores(query, key, replace(mask, window=None))


class WindowTooWide(Plain):
    def scores(self, query, key, mask):
        return super().scores(query, key, mask if mask.window is None else replace(mask, window=mask.window + 1))


class WindowTooNarrow(Plain):
    def scores(self, query, key, mask):
        return super().scores(query, key, mask if mask.window is None else replace(mask, window=mask.window - 1))


class IgnoresTheBias(Plain):
    def scores(self, query, key, mask):
        return super().scores(query, key, replace(mask, bias=None))


class SubtractsTheBias(Plain):
    def scores(self, query, key, mask):
        return super().scores(query, key, mask if mask.bias is None else replace(mask, bias=-mask.bias))


class BiasOfTheFirstHead(Plain):
    def scores(self, query, key, mask):
        return super().scores(query, key, mask if mask.bias is None else replace(mask, bias=mask.bias[:, :1]))


class BiasWithoutGradient(Plain):
    def scores(self, query, key, mask):
        return super().scores(query, key, mask if mask.bias is None else replace(mask, bias=mask.bias.detach()))


class NeverRotates(Plain):
    def keys_values(self, x, layout):
        return super().keys_values(x, replace(layout, rotary=None))

    def queries(self, x, layout):
        return super().queries(x, replace(layout, rotary=None))


class RotatesQueriesAlone(Plain):
    def keys_values(self, x, layout):
        return super().keys_values(x, replace(layout, rotary=None))


class RotatesKeysAlone(Plain):
    def queries(self, x, layout):
        return super().queries(x, replace(layout, rotary=None))


class RotatesValues(Plain):
    def keys_values(self, x, layout):
        return tuple(map(layout.apply_rotary, super().keys_values(x, replace(layout, rotary=None))))


class RotatesQueriesBackwards(Plain):
    def queries(self, x, layout):
        rotary = layout.rotary
        return super().queries(x, layout if rotary is None else replace(layout, rotary=replace(rotary, sin=-rotary.sin)))


class ScalesByLength(Plain):
    """Padding is counted."""

    def scores(self, query, key, mask):
        return super().scores(query, key, mask) / (1 + 0.05 * mask.keys)


class DropoutInEvaluation(Plain):
    def attend(self, scores, value):
        return super().attend(scores, nn.functional.dropout(value, 0.5, True))


class DropoutOfTheModelInEvaluation(Plain):
    """Without dropout in the model there is nothing to see."""

    def __init__(self, dim: int, num_heads: int, bias: bool, dropout: float):
        super().__init__(dim, num_heads, bias)
        self.dropout = dropout

    def attend(self, scores, value):
        return super().attend(scores, nn.functional.dropout(value, self.dropout))


class DrawsInEvaluation(Plain):
    """And does not use it."""

    def attend(self, scores, value):
        torch.rand(1)
        return super().attend(scores, value)


class SqueezesOneRow(Plain):
    """One text, one token."""

    def forward(self, x, keys_values, layout, mask):
        y = super().forward(x, keys_values, layout, mask)
        return y.squeeze(0).mean(0).expand_as(x) * 2 if y.shape[:2] == (1, 1) else y


class HoldsFloat64(Plain):
    def attend(self, scores, value):
        return super().attend(scores * torch.linspace(0.5, 1.5, value.shape[1], dtype=torch.float64)[:, None, None], value)


class Float64Buffer(Plain):
    def __init__(self, dim: int, num_heads: int, bias: bool):
        super().__init__(dim, num_heads, bias)
        self.register_buffer("temperature", torch.linspace(0.5, 1.5, num_heads, dtype=torch.float64)[:, None, None])

    def attend(self, scores, value):
        return super().attend(scores * self.temperature, value)


class MixesPrecisions(Plain):
    """Autocast gives another dtype than that of the residual stream."""

    def attend(self, scores, value):
        attended = value.new_zeros(*scores.shape[:-1], value.shape[-1], dtype=scores.dtype)
        return attended.index_add(0, torch.arange(len(value), device=value.device), super().attend(scores, value))


class OnTheCPU(Plain):
    def scores(self, query, key, mask):
        return super().scores(query, key, mask) + torch.zeros(1)


class MatrixOnTheCPU(Plain):
    """A tensor that is no buffer stays where it was made."""

    def __init__(self, dim: int, num_heads: int, bias: bool):
        super().__init__(dim, num_heads, bias)
        self.mixing = torch.eye(self.rotary_dim).flip(0)

    def attend(self, scores, value):
        return super().attend(scores, value @ self.mixing.to(value.dtype))


class ThroughTheCPU(Plain):
    def attend(self, scores, value):
        return super().attend(scores.cpu(), value)


class KeepsTheLastMean(Plain):
    def keys_values(self, x, layout):
        self.last = x.detach().mean()
        return super().keys_values(x, layout)


class CountsItsCalls(Plain):
    calls: ClassVar[list[int]] = []

    def keys_values(self, x, layout):
        self.calls.append(len(x))
        return super().keys_values(x, layout)


class MakesAParameterWhenCalled(Plain):
    def attend(self, scores, value):
        if not hasattr(self, "gain"):
            self.gain = nn.Parameter(torch.ones(value.shape[-1], dtype=value.dtype))
        return super().attend(scores, value) * self.gain


class BranchesOnValues(Plain):
    def forward(self, x, keys_values, layout, mask):
        y = super().forward(x, keys_values, layout, mask)
        return y if y.abs().max().item() < 1e9 else y * 0


class BranchesOnATensor(Plain):
    def attend(self, scores, value):
        return super().attend(scores if (scores > 0).any() else scores * 2, value)


class ForgetsItsInitialization(Plain):
    def __init__(self, dim: int, num_heads: int, bias: bool):
        super().__init__(dim, num_heads, bias)
        self.gate = nn.Linear(dim, dim)
        nn.init.zeros_(self.gate.weight)
        nn.init.constant_(self.gate.bias, 4.0)

    def forward(self, x, keys_values, layout, mask):
        return super().forward(x, keys_values, layout, mask) * self.gate(x).sigmoid()


class ScalesItsInitialization(Plain):
    def __init__(self, dim: int, num_heads: int, bias: bool):
        super().__init__(dim, num_heads, bias)
        with torch.no_grad():
            self.output.weight.mul_(0.1)


class Detached(Plain):
    def forward(self, x, keys_values, layout, mask):
        return super().forward(x, keys_values, layout, mask).detach() + x * 0


class EditsItsInput(Plain):
    def keys_values(self, x, layout):
        keys_values = super().keys_values(x, layout)
        x.data.mul_(1.5)
        return keys_values


class EditsTheBias(Plain):
    def scores(self, query, key, mask):
        if mask.bias is not None:
            mask.bias.data.mul_(2)
        return super().scores(query, key, mask)


class LayoutOfTheFirstRow(Plain):
    """Every row gets the rotation of the first one."""

    def queries(self, x, layout):
        rotary = layout.rotary
        return super().queries(
            x, layout if rotary is None else replace(layout, rotary=replace(rotary, cos=rotary.cos[:1], sin=rotary.sin[:1]))
        )


class NormsOverRows(Plain):
    """In training alone."""

    def forward(self, x, keys_values, layout, mask):
        y = super().forward(x, keys_values, layout, mask)
        return y - y.mean(0) if self.training else y


class HidesALayer(Plain):
    """A list is no module."""

    def __init__(self, dim: int, num_heads: int, bias: bool):
        super().__init__(dim, num_heads, bias)
        self.layers = [nn.Linear(dim, dim)]

    def forward(self, x, keys_values, layout, mask):
        return nn.functional.linear(super().forward(x, keys_values, layout, mask), self.layers[0].weight.to(x.dtype))


class CannotReorder(Plain):
    class Cache(KVCache):
        def reorder(self, rows):
            pass

    def cache(self):
        return self.Cache()


class CacheOfFourTokens(Plain):
    class Cache(KVCache):
        def update(self, keys_values):
            return tuple(x[..., -4:, :] for x in super().update(keys_values))

    def cache(self):
        return self.Cache()


class LeaksALittle(Plain):
    """A finite number is no mask."""

    def scores(self, query, key, mask):
        scores, allowed = super().scores(query, key, Mask(mask.queries, mask.keys, bias=mask.bias)), mask.dense()
        return scores if allowed is None else scores - 10.0 * ~allowed


class OneCacheForAll(Plain):
    kept = KVCache()

    def cache(self):
        return self.kept


class CannotRestoreItsCache(Plain):
    class Cache(KVCache):
        def load_state(self, tensors):
            pass

    def cache(self):
        return self.Cache()


WRONG = {
    IgnoresPadding: "respects_padding",
    SeesOneTokenAhead: "respects_causality",
    IgnoresTheLengthOfTheCache: "cache_equals_full_forward",
    IgnoresDocuments: "documents_are_apart",
    IgnoresTheWindow: "window_has_an_effect",
    WindowTooWide: "window_has_an_effect",
    WindowTooNarrow: "window_has_an_effect",
    IgnoresTheBias: "position_has_an_effect bias_is_added_to_the_scores",
    SubtractsTheBias: "bias_is_added_to_the_scores",
    BiasOfTheFirstHead: "bias_is_added_to_the_scores",
    BiasWithoutGradient: "bias_is_added_to_the_scores",
    NeverRotates: "position_has_an_effect rotary_embedding_is_applied",
    RotatesQueriesAlone: "rotary_embedding_is_applied",
    RotatesKeysAlone: "rotary_embedding_is_applied",
    RotatesValues: "rotary_embedding_is_applied",
    RotatesQueriesBackwards: "rotary_embedding_is_applied",
    LayoutOfTheFirstRow: "cache_equals_full_forward",
    ScalesByLength: "respects_padding",
    DropoutInEvaluation: "evaluation_is_deterministic",
    DropoutOfTheModelInEvaluation: "evaluation_is_deterministic",
    DrawsInEvaluation: "evaluation_is_deterministic",
    SqueezesOneRow: "cache_equals_full_forward",
    HoldsFloat64: "runs_in_float32 runs_under_autocast",
    Float64Buffer: "runs_in_float32",
    MixesPrecisions: "runs_under_autocast",
    OnTheCPU: "runs_on_the_meta_device",
    MatrixOnTheCPU: "runs_on_the_meta_device",
    ThroughTheCPU: "runs_on_the_meta_device",
    KeepsTheLastMean: "keeps_nothing_between_calls",
    CountsItsCalls: "keeps_nothing_between_calls",
    MakesAParameterWhenCalled: "keeps_nothing_between_calls",
    BranchesOnValues: "runs_compiled runs_on_the_meta_device",
    BranchesOnATensor: "runs_compiled",
    ForgetsItsInitialization: "initialization_is_kept",
    ScalesItsInitialization: "initialization_is_kept",
    Detached: "gradients_reach_every_parameter",
    EditsItsInput: "leaves_its_inputs_unchanged",
    EditsTheBias: "leaves_its_inputs_unchanged",
    NormsOverRows: "rows_are_independent",
    HidesALayer: "saves_and_loads",
    CannotReorder: "cache_reorders",
    LeaksALittle: "respects_padding respects_causality",
    OneCacheForAll: "cache_equals_full_forward",
    CannotRestoreItsCache: "cache_is_restored",
    CacheOfFourTokens: "cache_equals_full_forward",
}


@pytest.mark.matrix(0.5, axes=())
@pytest.mark.parametrize(
    ("attention", "promise"),
    [(cls, name) for cls, names in WRONG.items() for name in names.split()],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_wrong_attention_is_rejected_by_the_name_of_the_promise(attention, promise):
    assert_rejected(AttentionPromises, promise.replace("_", " "), attention, families=("encoder_only", "decoder_only"))


class TestPlain(AttentionPromises):
    part, families = Part(Plain), ("encoder_only", "decoder_only")  # in which the wrong ones are


class TestSoftmaxInFloat32(AttentionPromises):
    part, families = Part(SoftmaxInFloat32), ("decoder_only",)
