"""Published initializations as parts: what `initialize_weights` sets stays."""

import math

import pytest
import torch
from torch import nn

from framework.data.spec import DataSpec
from framework.models.decoder_only import DecoderOnlyModel
from framework.parts.attention.multi_head import MultiHeadAttention
from framework.parts.blocks import NormedBlock
from framework.parts.encoders import Encoder
from framework.registry import Part
from framework.testing import toy_model
from framework.testing.initial_weights import initialization_is_kept
from framework.testing.promise import BrokenPromise
from framework.testing.toy_part import ToyPart


class GatedAttention(MultiHeadAttention):
    """Attention with an output gate that begins open."""

    def __init__(self, dim: int, num_heads: int, dropout: float, bias: bool, epsilon: float):
        super().__init__(dim, num_heads, dropout, bias, epsilon, qk_norm=Part("norm/none"))
        self.gate = nn.Linear(dim, dim)

    def initialize_weights(self, std: float) -> None:
        nn.init.zeros_(self.gate.weight)
        nn.init.constant_(self.gate.bias, 4.0)

    def forward(self, x, keys_values, layout, mask):
        return super().forward(x, keys_values, layout, mask) * self.gate(x).sigmoid()


class LayerScaleBlock(NormedBlock):
    """x + diag(lambda) sublayer(norm(x)). Touvron et al. 2021, section 2.2, equation 4, https://arxiv.org/abs/2103.17239"""

    final_norm = True

    def __init__(self, dim: int, dropout: float, bias: bool, epsilon: float, sublayers: int, norm: Part, scale: float = 1e-5):
        super().__init__(dim, dropout, bias, epsilon, sublayers, norm)
        self.scales = nn.Parameter(torch.full((sublayers, dim), scale))

    def forward(self, x, sublayers):
        for scale, norm, sublayer in zip(self.scales, self.norms, sublayers, strict=True):
            x = x + self.dropout(scale * sublayer(norm(x)))
        return x


class MuPModel(DecoderOnlyModel):
    """muP for Adam. Yang et al. 2022, table 8, https://arxiv.org/abs/2203.03466

    Hidden matrices have the variance std^2 / m, m = dim / base_dim; the embeddings keep std^2, and logits are divided by m.
    """

    @torch.no_grad()
    def __init__(self, base_dim: int = 16, **options):
        super().__init__(**options)
        self.lm_head.scale = base_dim / self.dim
        for linear in self.decoder.modules():
            if isinstance(linear, nn.Linear):
                linear.weight.mul_(math.sqrt(base_dim / self.dim))


def test_a_gate_begins_open():
    model = toy_model("encoder_only", attention=Part(GatedAttention))
    for layer in model.encoder.layers:
        assert not layer.attention.gate.weight.any() and (layer.attention.gate.bias == 4).all()
        assert layer.attention.query.weight.std().item() == pytest.approx(0.3, rel=0.15)  # the table holds for the rest


def test_deep_norm_is_that_of_the_paper():
    """Figure 2: Xavier initialization with gain beta = (8N)^(-1/4), and 1 for queries and keys; alpha = (2N)^(1/4)."""
    model = toy_model("encoder_only", num_layers=8, dim=64, block=Part("block/deep_norm"))
    layer = model.encoder.layers[3]
    beta = 64**-0.25  # (8 * 8)^(-1/4)
    xavier = math.sqrt(2 / (64 + 64))
    assert layer.block.alpha == 2  # (2 * 8)^(1/4)
    for name, gain in {"query": 1, "key": 1, "value": beta, "output": beta}.items():
        assert getattr(layer.attention, name).weight.std().item() == pytest.approx(gain * xavier, rel=0.06)
    assert layer.feed_forward.input.weight.std().item() == pytest.approx(beta * math.sqrt(2 / (64 + 256)), rel=0.06)
    x = torch.randn(1, 3, 64, dtype=torch.float64)
    first = layer.block.norms[0](2 * x + 3 * x)
    torch.testing.assert_close(layer.block(x, (lambda y: 3 * y, torch.zeros_like)), layer.block.norms[1](2 * first))


def test_deep_norm_of_both_stacks_is_that_of_the_paper():
    """Figure 2, encoder-decoder: that of the decoder by its layers, that of the encoder by its options."""
    values = {"alpha": 0.81 * (6**4 * 4) ** (1 / 16), "beta": 0.87 * (6**4 * 4) ** (-1 / 16)}
    encoder = Part("encoder/standard", block=Part("block/deep_norm", **values))
    model = toy_model("encoder_decoder", num_layers=6, num_decoder_layers=4, dim=64, block=Part("block/deep_norm"), encoder=encoder)
    xavier = math.sqrt(2 / (64 + 64))
    for layer, alpha, beta in (
        (model.encoder.layers[5], values["alpha"], values["beta"]),
        (model.decoder.layers[0], (3 * 4) ** 0.25, (12 * 4) ** -0.25),
    ):
        assert layer.block.alpha == pytest.approx(alpha)
        assert layer.attention.output.weight.std().item() == pytest.approx(beta * xavier, rel=0.06)
        assert layer.attention.query.weight.std().item() == pytest.approx(xavier, rel=0.06)
    assert model.decoder.layers[0].cross.value.weight.std().item() == pytest.approx((12 * 4) ** -0.25 * xavier, rel=0.06)


def test_layer_scale_is_that_of_the_paper():
    model = toy_model("encoder_only", block=Part(LayerScaleBlock, scale=0.1))
    block = model.encoder.layers[1].block
    assert block.scales.allclose(torch.tensor(0.1, dtype=torch.float64))
    x = torch.randn(1, 3, 16, dtype=torch.float64)
    torch.testing.assert_close(block(x, (torch.ones_like, torch.zeros_like)), x + block.scales[0])


@pytest.mark.parametrize("dim", [16, 64, 256])
def test_mup_is_that_of_the_table(dim):
    model = Part(MuPModel, dim=dim, num_heads=4, num_layers=2, initial_std=0.1)(spec=DataSpec(400, 32))
    layer = model.decoder.layers[0]
    for linear, std in ((layer.attention.query, 0.1), (layer.feed_forward.input, 0.1), (layer.feed_forward.output, 0.1 / 2)):
        assert linear.weight.std().item() == pytest.approx(std / math.sqrt(dim / 16), rel=0.1)  # output: 4 additions to the stream
    assert model.tokens.weight.std().item() == pytest.approx(0.1, rel=0.1)
    hidden = torch.ones(1, 1, dim)
    torch.testing.assert_close(model.logits(hidden), 16 / dim * hidden @ model.tokens.weight.T)


def test_owners_have_the_last_word():
    class Outer(Encoder):
        def initialize_weights(self, std):
            nn.init.constant_(self.layers[0].attention.gate.bias, std)

    model = toy_model("encoder_only", encoder=Part(Outer, attention=Part(GatedAttention)))
    first, second = (layer.attention.gate.bias for layer in model.encoder.layers)
    assert first.allclose(torch.tensor(0.3, dtype=torch.float64)) and (second == 4).all()


def test_shapes_alone_need_no_values():
    with torch.device("meta"):
        Part("model/encoder_only", attention=Part(GatedAttention))(spec=DataSpec(9, 8))


class DrawnTwice(GatedAttention):
    """Its constructor and its hook draw, each something else."""

    def __init__(self, dim: int, num_heads: int, dropout: float, bias: bool, epsilon: float):
        super().__init__(dim, num_heads, dropout, bias, epsilon)
        self.initialize_weights(0.0)
        nn.init.orthogonal_(self.query.weight)

    def initialize_weights(self, std):
        super().initialize_weights(std)
        nn.init.orthogonal_(self.query.weight)


class OneForgotten(DrawnTwice):
    """Its hook sets the gate alone."""

    initialize_weights = GatedAttention.initialize_weights


def test_the_promise_knows_what_the_hook_sets():
    initialization_is_kept(ToyPart("attention", Part(DrawnTwice), "decoder_only", {}))
    with pytest.raises(BrokenPromise, match=r"^initialization is kept: query\.weight, which the constructor of OneForgotten"):
        initialization_is_kept(ToyPart("attention", Part(OneForgotten), "decoder_only", {}))


SUMS = {"encoder_only": 76.4180849250697, "decoder_only": 76.4180849250697, "encoder_decoder": 135.15157922453727}


@pytest.mark.parametrize(("family", "total"), SUMS.items())
def test_the_weights_of_a_seed_are_what_they_were(family, total):
    """The sums of all weights from before parts had a hook."""
    assert sum(parameter.sum().item() for parameter in toy_model(family).parameters()) == pytest.approx(
        total, rel=1e-5
    )  # float32 draws round by kernel
