"""Every contract test fails on a part that violates it, with its name in the message."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from framework import testing
from framework.parts.attention.linear import LinearAttention, LinearAttentionCache
from framework.parts.attention.multi_head import MultiHeadAttention
from framework.parts.caches import KVCache
from framework.registry import Part
from framework.testing import BrokenPromise, check, toy_model


class SeesAll(MultiHeadAttention):
    """Ignores the causal mask."""

    def forward(self, x, keys_values, layout, mask):
        return super().forward(x, keys_values, layout, replace(mask, causal=False))


class SeesPadding(MultiHeadAttention):
    """Ignores the padding mask."""

    def forward(self, x, keys_values, layout, mask):
        return super().forward(x, keys_values, layout, replace(mask, padding_mask=None))


class SeesDocuments(MultiHeadAttention):
    """Ignores document boundaries."""

    def forward(self, x, keys_values, layout, mask):
        return super().forward(x, keys_values, layout, replace(mask, documents=None))


class SeesRows(MultiHeadAttention):
    """Mixes the rows of a batch."""

    def forward(self, x, keys_values, layout, mask):
        return super().forward(x, keys_values, layout, mask) + x.mean(0, keepdim=True)


class HasSpareWeights(MultiHeadAttention):
    """Has an unused parameter."""

    def __init__(self, dim: int, num_heads: int, dropout: float, bias: bool, epsilon: float):
        super().__init__(dim, num_heads, dropout, bias, epsilon, qk_norm=Part("norm/none"))
        self.spare = nn.Parameter(torch.ones(dim))


class ForgetfulCache(KVCache):
    """Keeps the last four tokens alone."""

    def update(self, keys_values):
        return (
            tuple(x[..., -4:, :] if x.shape[-2] > 4 else x for x in super().update(keys_values))
            if self.tensors
            else super().update(keys_values)
        )


class Forgets(LinearAttention):
    def cache(self):
        return ForgetfulSums()


class ForgetfulSums(LinearAttentionCache):
    """Drops the sums over earlier tokens."""

    def update(self, keys_values):
        return super().update(keys_values)[:3]


class CannotReorder(MultiHeadAttention):
    def cache(self):
        return FixedRows()


class FixedRows(KVCache):
    """Selects the first rows, whichever are asked for."""

    def reorder(self, rows):
        super().reorder(torch.arange(len(rows)).clamp(max=self.tensors[0].shape[0] - 1))


@pytest.mark.parametrize(
    "family, attention, promise",
    [
        ("decoder_only", SeesAll, "respects causality"),
        ("encoder_decoder", SeesAll, "respects causality"),
        ("encoder_only", SeesPadding, "respects padding"),
        ("encoder_only", SeesDocuments, "documents are apart"),
        ("decoder_only", SeesDocuments, "documents are apart"),
        ("decoder_only", SeesPadding, "cache equals full forward"),
        ("encoder_only", SeesRows, "rows are independent"),
        ("encoder_only", HasSpareWeights, "gradients reach every parameter"),
        ("decoder_only", Forgets, "cache equals full forward"),
        ("decoder_only", CannotReorder, "cache reorders"),
    ],
)
def test_a_broken_part_breaks_the_promise_by_name(family, attention, promise):
    with pytest.raises(BrokenPromise, match=promise):
        check(toy_model(family, attention=Part(attention), position=Part("position/none")))


def test_cross_attention_that_sees_padding_is_found():
    model = toy_model("encoder_decoder", decoder=Part("decoder/cross", cross=Part(SeesPadding)))
    testing.respects_padding(model)  # the encoder's is not broken
    with pytest.raises(BrokenPromise, match="cross-attention respects padding"):
        testing.cross_attention_respects_padding(model)


def test_positions_that_start_anew_with_every_piece_are_found(monkeypatch):
    from framework.parts.caches import DecodingState
    from framework.parts.layout import make_positions

    monkeypatch.setattr(DecodingState, "next_positions", lambda self, ids, padding_mask: make_positions(ids, padding_mask))
    with pytest.raises(BrokenPromise, match="cache equals full forward"):
        testing.cache_equals_full_forward(toy_model("decoder_only", position=Part("position/rotary")))


def test_not_a_number_is_no_agreement(monkeypatch):
    model = toy_model("encoder_only")
    nn.init.constant_(model.encoder.final_norm.weight, float("nan"))
    with pytest.raises(BrokenPromise, match="rows are independent"):
        testing.rows_are_independent(model)


class StartsAnew(MultiHeadAttention):
    """Rotates by positions from 0 in every call, whatever the length of the cache."""

    def keys_values(self, x, layout):
        return super().keys_values(x, self._anew(x, layout))

    def forward(self, x, keys_values, layout, mask):
        return super().forward(x, keys_values, self._anew(x, layout), mask)

    def _anew(self, x, layout):
        rotary = Part("position/rotary")().rotary(torch.arange(x.shape[1])[None], self.rotary_dim)
        return replace(layout, rotary=rotary)


class CountsWords(MultiHeadAttention):
    """A bag of words: the output is the mean of all values."""

    def forward(self, x, keys_values, layout, mask):
        mean = self.output(keys_values[1].mean(-2).flatten(1))[:, None].expand_as(x)
        return mean + 0 * super().forward(x, keys_values, layout, mask)


class ForgetsOnDisk(MultiHeadAttention):
    """Has a buffer that no checkpoint contains."""

    def __init__(self, dim: int, num_heads: int, dropout: float, bias: bool, epsilon: float):
        super().__init__(dim, num_heads, dropout, bias, epsilon, qk_norm=Part("norm/none"))
        self.register_buffer("shift", torch.randn(dim), persistent=False)

    def forward(self, x, keys_values, layout, mask):
        return super().forward(x, keys_values, layout, mask) + self.shift


def test_an_attention_that_ignores_the_offset_of_its_cache_is_found():
    model = toy_model("decoder_only", attention=Part(StartsAnew), position=Part("position/none"))
    testing.respects_causality(model)
    with pytest.raises(BrokenPromise, match="^cache equals full forward"):
        testing.cache_equals_full_forward(model)


def test_a_bag_of_words_is_found():
    model = toy_model("encoder_only", attention=Part(CountsWords), position=Part("position/none"))
    with pytest.raises(BrokenPromise, match="^learns the order of words: .* a bag of words has 50%"):
        testing.order_is_learned(model)


def test_what_no_checkpoint_holds_is_found():
    class Suite(testing.AttentionPromises):
        part = Part(ForgetsOnDisk)

    with pytest.raises(BrokenPromise, match=r"^saves and loads: .*not saved: .*encoder\.layers\.0\.attention\.shift"):
        Suite().test_saves_and_loads()


def test_the_test_classes_say_which_promise_and_where():
    class Suite(testing.AttentionPromises):
        part = Part(SeesPadding)

    with pytest.raises(BrokenPromise, match=r"^respects padding: .* \(encoder_only with position/learned\)"):
        Suite().test_respects_padding()
    Suite().test_respects_causality()


def test_a_promise_that_says_nothing_of_a_part_is_skipped():
    class Suite(testing.AttentionPromises):
        part, families = Part(SeesPadding), ("decoder_only",)

    with pytest.raises(testing.Inapplicable, match="does not apply to decoder_only"):
        Suite().test_respects_padding()
