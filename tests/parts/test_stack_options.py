"""Stochastic depth, the cap of the logits and their z-loss: by formula, and without effect when off."""

import pytest
import torch

from framework.registry import Part
from framework.testing import toy_model
from framework.testing.toy_models import texts
from framework.utils.recording import recorded_losses

IDS = torch.stack(texts(6, 6))


@pytest.mark.parametrize("block", ["pre_norm", "post_norm", "parallel", "sandwich"])
def test_stochastic_depth_drops_the_sublayers_of_whole_rows(block):
    """With a rate near 1 the last layer adds nothing to most rows: those have the states of the layers before it."""
    stack = Part("decoder/standard", stochastic_depth=0.75, final_norm=Part("norm/none"))
    model = toy_model("decoder_only", num_layers=2, decoder=stack, block=Part(f"block/{block}")).train()
    rates = [layer.depth_dropout for layer in model.decoder.layers]
    assert rates == [0.375, 0.75]
    torch.manual_seed(1)
    runs = torch.stack([model(IDS) for _ in range(40)])  # (runs, B, T, D)
    distinct = {tuple(row.flatten()[:3].tolist()) for row in runs[:, 0]}
    assert 1 < len(distinct) <= 16  # of two layers with two sublayers, each there or not
    evaluated = model.eval()(IDS)
    assert evaluated.equal(model(IDS))


def test_stochastic_depth_keeps_the_mean_of_what_a_layer_adds():
    stack = Part("decoder/standard", stochastic_depth=0.5, final_norm=Part("norm/none"))
    model = toy_model("decoder_only", num_layers=1, decoder=stack, block=Part("block/parallel")).train()
    torch.manual_seed(0)
    mean = torch.stack([model(IDS).detach() for _ in range(3000)]).mean(0)
    expected = model.eval()(IDS).detach()
    before = model.embeddings(model.tokens(IDS), model.decoder.position, torch.arange(6)[None]).detach()
    assert (mean - expected).abs().max() < 0.1 * (expected - before).abs().max()


def test_layers_that_share_their_weights_have_the_whole_rate():
    model = toy_model("encoder_only", num_layers=3, encoder=Part("encoder/shared", stochastic_depth=0.3))
    assert [layer.depth_dropout for layer in model.encoder.layers] == [0.3]


def test_the_cap_of_the_logits():
    plain, capped = (toy_model("decoder_only", tied=False, output_cap=cap) for cap in (None, 0.5))
    hidden = plain(IDS)
    torch.testing.assert_close(capped.logits(hidden), 0.5 * (plain.logits(hidden) / 0.5).tanh(), rtol=0, atol=1e-9)
    assert capped.logits(hidden).abs().max() < 0.5 < plain.logits(hidden).abs().max()


def test_the_z_loss_is_the_squared_logarithm_of_the_denominator():
    model = toy_model("decoder_only", z_loss=0.25).train()
    with recorded_losses() as losses:
        logits = model.logits(model(IDS))
    expected = 0.25 * logits.exp().sum(-1).log().square()
    total, weight = losses["output_z"]
    torch.testing.assert_close(total.double(), expected.sum(), rtol=1e-5, atol=0)
    assert weight == expected.numel() and losses.keys() == {"output_z"}
    model.eval()
    with recorded_losses() as losses:
        model.logits(model(IDS))
    assert not losses
