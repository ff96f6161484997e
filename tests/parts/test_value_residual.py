"""Values of the first layer in later ones: by hand, in float64; recomputed layers; what is refused."""

import pytest
import torch

from framework.config.compose import compose
from framework.errors import UserError
from framework.parts.attention.multi_head import MultiHeadAttention
from framework.parts.layout import SequenceLayout
from framework.registry import Part
from framework.testing import toy_model
from tests.precision import close

DIM, HEADS, TOKENS = 8, 2, 5


def attentions(*numbers):
    torch.manual_seed(0)
    offers = {"dim": DIM, "num_heads": HEADS, "dropout": 0.0, "bias": True, "epsilon": 1e-5}
    return [Part(MultiHeadAttention, value_residual=True)(**offers, layer=number).double() for number in numbers]


@pytest.mark.parametrize("numbers", [(0, 1, 2), (2, 3, 4)])
def test_values_are_mixed_with_those_of_the_first_layer_that_has_the_option(numbers):
    layers, layout = attentions(*numbers), SequenceLayout(torch.arange(TOKENS)[None], shared={})
    inputs = [torch.randn(3, TOKENS, DIM, dtype=torch.float64) for _ in layers]
    values = [layer.keys_values(x, layout)[1] for layer, x in zip(layers, inputs, strict=True)]
    plain = [layer.value(x).view(3, TOKENS, HEADS, -1).transpose(1, 2) for layer, x in zip(layers, inputs, strict=True)]
    close(values[0], plain[0])
    for layer, got, own in zip(layers[1:], values[1:], plain[1:], strict=True):
        assert layer.first_share.item() == 0.5
        close(got, 0.5 * own + 0.5 * plain[0])
    torch.nn.init.constant_(layers[2].first_share, 0.3)
    close(layers[2].keys_values(inputs[2], layout)[1], 0.7 * plain[2] + 0.3 * plain[0])


def test_a_layer_that_is_computed_again_is_the_same():
    """Gradients with activation checkpointing, in which the first layer runs twice, are those without."""
    ids, gradients = torch.randint(5, 20, (2, 6)), []
    for recompute in (False, True):
        torch.manual_seed(0)
        decoder = Part("decoder/standard", activation_checkpointing=recompute)
        model = toy_model("decoder_only", attention=Part("attention/multi_head", value_residual=True), decoder=decoder, num_layers=3)
        model = model.double().train()
        model(ids).square().sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters() if parameter.grad is not None])
    for one, other in zip(*gradients, strict=True):
        close(one, other)


def test_what_is_refused():
    with pytest.raises(UserError, match="share their weights"):
        compose(["task=completion", "model/decoder=shared", "model.attention.value_residual=true"])
    pattern = [{}, {"attention": {"num_kv_heads": 1}}]
    model = toy_model(
        "decoder_only",
        num_layers=2,
        attention=Part("attention/multi_head", value_residual=True),
        decoder=Part("decoder/standard", layers=pattern),
    )
    with pytest.raises(UserError, match="layer 0 to those of 1.*num_kv_heads"):
        model(torch.randint(5, 20, (1, 4)))
