"""Stacks and models that are wrong on purpose: each is rejected by the name of the promise that it breaks."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from framework.models.decoder_only import DecoderOnlyModel
from framework.models.encoder_only import EncoderOnlyModel
from framework.parts.decoders import CrossDecoder, Decoder
from framework.parts.encoders import Encoder
from framework.parts.stacks import Stack
from framework.testing import ModelPromises, StackPromises
from tests.conformance.rejects import assert_rejected


class ChangedLayouts(Stack):
    """Changes layouts and masks before the layers get them."""

    def prepare(self, *arguments):
        layouts, masks = super().prepare(*arguments)
        return list(map(self.layout, layouts)), list(map(self.mask, masks))

    def layout(self, layout):
        return layout

    def mask(self, mask):
        return mask


class NeverRotates(ChangedLayouts, Encoder):
    def layout(self, layout):
        return replace(layout, rotary=None)


class IgnoresTheBias(ChangedLayouts, Decoder):
    def mask(self, mask):
        return replace(mask, bias=None)


class IgnoresTheWindow(ChangedLayouts, Encoder):
    def mask(self, mask):
        return replace(mask, window=None)


class IgnoresPadding(ChangedLayouts, Encoder):
    def mask(self, mask):
        return replace(mask, padding_mask=None)


class IgnoresDocuments(ChangedLayouts, Decoder):
    def mask(self, mask):
        return replace(mask, documents=None)


class SeesTheFuture(ChangedLayouts, CrossDecoder):
    def mask(self, mask):
        return replace(mask, causal=False)


class SkipsTheLastLayer(Encoder):
    def run_layers(self, x, *arguments):
        for layer, *values in zip(list(self.layers)[:-1], *arguments, strict=False):
            x = layer(x, *values)
        return self.final_norm(x)


class NormsOverTheBatch(Encoder):
    def forward(self, *arguments, **keywords):
        hidden = super().forward(*arguments, **keywords)
        return hidden - hidden.mean(0) if self.training else hidden


class RemembersTheTokens(Encoder):
    def forward(self, x, *arguments, **keywords):
        self.tokens = x
        return super().forward(x, *arguments, **keywords)


class PoolsTheText(Encoder):
    def forward(self, *arguments, **keywords):
        return super().forward(*arguments, **keywords)[:, :1]


class WithoutCache(Decoder):
    def forward(self, x, positions, padding_mask=None, documents=None, state=None, padding_side="left"):
        return super().forward(x, positions, padding_mask if state is None else None, documents, None, padding_side)


class IgnoresPaddingOfTheModel(EncoderOnlyModel):
    def forward(self, ids, padding_mask=None, *options, **named):
        return super().forward(ids, None, *options, **named)


class CountsPadding(DecoderOnlyModel):
    """Positions are places."""

    def forward(self, ids, padding_mask=None, positions=None, *options, **named):
        return super().forward(ids, padding_mask, torch.arange(ids.shape[1])[None], *options, **named)


class WithoutPositions(EncoderOnlyModel):
    def forward(self, ids, padding_mask=None, segments=None, positions=None, documents=None):
        x = self.embeddings.norm(self.tokens(ids))
        positions = torch.arange(ids.shape[1])[None] if positions is None else positions
        return self.encoder(x, positions, padding_mask, documents)


class WeightsOfItsOwn(EncoderOnlyModel):
    def __init__(self, **options):
        super().__init__(**options)
        for parameter in self.parameters():
            nn.init.constant_(parameter, 0.1)


class LogitsOfHiddenStates(DecoderOnlyModel):
    def logits(self, hidden):
        return hidden


class SpareWeights(EncoderOnlyModel):
    def __init__(self, **options):
        super().__init__(**options)
        self.spare = nn.Linear(self.dim, self.dim)


WRONG = {
    StackPromises: {
        NeverRotates: "position_has_an_effect",
        IgnoresTheBias: "position_has_an_effect",
        IgnoresTheWindow: "window_has_an_effect",
        IgnoresPadding: "respects_padding",
        IgnoresDocuments: "documents_are_apart",
        SeesTheFuture: "respects_causality",
        SkipsTheLastLayer: "gradients_reach_every_parameter",
        NormsOverTheBatch: "rows_are_independent",
        RemembersTheTokens: "keeps_nothing_between_calls",
        PoolsTheText: "hidden_states_have_their_shape",
        WithoutCache: "cache_equals_full_forward",
    },
    ModelPromises: {
        IgnoresPaddingOfTheModel: "respects_padding",
        CountsPadding: "cache_equals_full_forward",
        WithoutPositions: "position_has_an_effect",
        WeightsOfItsOwn: "initial_std_has_an_effect",
        LogitsOfHiddenStates: "hidden_states_have_their_shape",
        SpareWeights: "gradients_reach_every_parameter",
    },
}
CASES = [(suite, part, name) for suite, parts in WRONG.items() for part, name in parts.items()]


@pytest.mark.parametrize(("suite", "part", "promise"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_a_wrong_stack_or_model_is_rejected_by_the_name_of_the_promise(suite, part, promise):
    assert_rejected(suite, promise.replace("_", " "), part)


class TestCrossDecoder(StackPromises):
    part = "decoder/cross"


class TestEncoderOnly(ModelPromises):
    part = "model/encoder_only"
