"""Options, refusals and sizes of single parts and of the model presets."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from framework.config import catalogue as index
from framework.config import compose
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.parts.initialize import initialize
from framework.parts.layout import make_positions
from framework.registry import Part, as_part
from framework.testing import loss, texts, toy_model

# The stream is rounded six times: embeddings, two sublayers in each of two layers, scores.
ROUNDED = 6 * torch.finfo(torch.bfloat16).eps
PRESETS = sorted(path.stem for path in (Path(__file__).parents[2] / "conf" / "model").glob("*.yaml"))


def preset(name: str, vocab_size: int) -> nn.Module:
    """The model of a preset on the meta device."""
    node = compose.compose([f"model={name}", f"task={TASKS[index.load().base('model', name)]}"]).config["model"]
    with torch.device("meta"):
        return Part(node["part"], **{key: parts(value) for key, value in node.items() if key != "part"})(spec=DataSpec(vocab_size, 8))


TASKS = {"encoder_only": "classification", "decoder_only": "completion", "encoder_decoder": "translation"}


def parts(value):
    """A node as a Part, with the Parts in it."""
    if isinstance(value, dict) and "part" in value:
        return as_part({key: parts(item) for key, item in value.items()})
    return value


def size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_transformer_base_has_the_published_size():
    """Table 3, base: 18 attentions, 12 feed-forward networks, 30 norms and a shared table of 37,000 pieces: 63 M of the paper's "65"."""
    parameters = 18 * 4 * (512 * 512 + 512) + 12 * (2 * 512 * 2048 + 2560) + 30 * 1024 + 37000 * 512
    assert size(preset("transformer_base", 37000)) == parameters


@pytest.mark.parametrize("name", [name for name in PRESETS if name.startswith("tiny")])
def test_tiny_presets_are_tiny(name):
    assert size(preset(name, 1000)) < 1_500_000


def test_a_position_beyond_the_table_is_refused():
    model = toy_model("decoder_only", max_length=6)
    with pytest.raises(UserError, match="7 positions .* has 6"):
        model(texts(7)[0][None])
    state = model.state()
    model.decode(texts(6)[0][None], state)
    with pytest.raises(UserError, match="7 positions"):
        model.decode(texts(1)[0][None], state)


def test_padding_needs_no_position_in_the_table():
    model = toy_model("decoder_only", max_length=6)
    ids, padding_mask = texts(8)[0][None], torch.tensor([[0, 0, 1, 1, 1, 1, 1, 1]]).bool()
    torch.testing.assert_close(model(ids, padding_mask)[:, 2:], model(ids[:, 2:]))


def test_an_offset_leaves_the_first_rows_alone():
    position = Part("position/learned", offset=2)(dim=4, max_length=3)
    assert position.table.weight.shape == (5, 4)
    got = position.embed(torch.zeros(1, 3, 4), torch.arange(3)[None])
    assert got[0].equal(position.table.weight[2:])


@pytest.mark.parametrize(
    "part, context, reason",
    [
        (Part("attention/multi_head"), {"dim": 10, "num_heads": 4}, "dim must be a multiple of num_heads"),
        (Part("attention/multi_head", num_kv_heads=3), {"dim": 8, "num_heads": 4}, "multiple of num_kv_heads"),
        (Part("attention/linear"), {"dim": 10, "num_heads": 4}, "dim must be a multiple of num_heads"),
        (Part("position/rotary", fraction=0.0), {}, "fraction must be in"),
        (Part("position/relative", buckets=7), {"num_heads": 2, "causal": False}, "buckets must be even"),
        (Part("position/relative", distance=16), {"num_heads": 2, "causal": True}, "distance must be greater"),
        (Part("feed_forward/mlp", hidden=0), {"dim": 8}, "hidden must be positive"),
        (Part("encoder/standard", layers=[{"window": 1}, {}, {"window": 2}]), {"num_layers": 2}, "3 entries"),
        (Part("encoder/standard", layers={"last": {"position": "rotary"}}), {"num_layers": 2}, "added to the embeddings"),
        (Part("encoder/standard", layers={"last": {"cross": "linear"}}), {"num_layers": 2}, "cross, which this stack"),
        (Part("encoder/standard", window=0), {"num_layers": 2}, "must be at least 1"),
        (Part("position/rotary", local_base=1.0), {}, "local_base must be greater than 1"),
        (Part("position/rotary", factor=0.5), {}, "factor must be at least 1"),
        (Part("position/rotary", slow=4.0), {}, "less than fast"),
        (Part("position/rotary", scaling="yarn", slow=4.0, fast=3.0), {}, "less than fast"),
        (Part("norm/dynamic_tanh", alpha=0.0), {"dim": 8}, "alpha must be positive"),
    ],
)
def test_impossible_options_are_refused_with_the_reason(part, context, reason):
    common = {"dim": 8, "num_heads": 2, "dropout": 0.0, "bias": True, "epsilon": 1e-5, "max_length": 9, "embedding_dim": 8}
    with pytest.raises(UserError, match=reason):
        part(**{**common, **context})


def test_a_rotary_embedding_needs_a_pair_of_features():
    with pytest.raises(UserError, match="at least two features"):
        Part("position/rotary", fraction=0.1)().rotary(torch.arange(3)[None], 8)


def test_layers_with_a_window_have_their_own_rotary_base():
    far, near = Part("position/rotary", base=100.0)(), Part("position/rotary", base=7.0)()
    both, positions = Part("position/rotary", base=100.0, local_base=7.0)(), torch.arange(5)[None]
    assert both.rotary(positions, 8).cos.equal(far.rotary(positions, 8).cos) and both.rotary(positions, 8, 3).cos.equal(
        near.rotary(positions, 8).cos
    )
    assert far.rotary(positions, 8, 3).cos.equal(far.rotary(positions, 8).cos)
    context = {
        "dim": 8,
        "num_heads": 1,
        "dropout": 0.0,
        "bias": True,
        "epsilon": 1e-5,
        "max_length": 9,
        "embedding_dim": 8,
        "num_layers": 2,
    }
    stack = Part("encoder/standard", layers=[{}, {"window": 3}], position=Part("position/rotary", base=100.0, local_base=7.0))(**context)
    layouts, _ = stack.prepare(torch.zeros(1, 5, 8), positions, None, None)
    assert [layout.rotary.cos.equal(other.rotary(positions, 8).cos) for layout, other in zip(layouts, (far, near), strict=True)] == [
        True,
        True,
    ]


def test_one_layer_serves_at_every_depth():
    values = {"num_layers": 5, "position": Part("position/rotary")}
    shared, own = toy_model("encoder_only", encoder=Part("encoder/shared"), **values), toy_model("encoder_only", **values)
    assert len(shared.encoder.layers) == 1 and len(own.encoder.layers) == 5
    state = shared.state_dict()
    own.load_state_dict({name: state[re.sub(r"layers\.\d", "layers.0", name)] for name in own.state_dict()})
    ids = torch.stack(texts(7, 7))
    torch.testing.assert_close(shared(ids), own(ids), rtol=0, atol=1e-12)
    assert shared.encoder.layers[0].attention.output.weight.std().item() == pytest.approx(0.3 / 10**0.5, rel=0.15)  # 10 additions


def test_the_first_layer_may_begin_without_a_norm():
    model = toy_model("encoder_only", block=Part("block/pre_norm", first_norm=False), embedding_norm=Part("norm/layer"))
    first, second = (layer.block for layer in model.encoder.layers)
    x, one = torch.randn(2, 3, 16, dtype=torch.double), nn.Linear(16, 16).double()
    torch.testing.assert_close(first(x, (one, one)), x + one(x) + one(first.norms[1](x + one(x))))
    torch.testing.assert_close(second(x, (one, torch.zeros_like)), x + one(second.norms[0](x)))


def test_hidden_widths_follow_the_width():
    mlp, gated = (Part(f"feed_forward/{name}")(dim=768, bias=False) for name in ("mlp", "gated"))
    assert mlp.input.weight.shape == (3072, 768) and gated.gate.weight.shape == (2048, 768)
    assert size(mlp) == size(gated)


def test_the_gate_multiplies():
    gated = Part("feed_forward/gated", hidden=6, activation="sigmoid")(dim=4, bias=True)
    x = torch.randn(3, 4)
    torch.testing.assert_close(gated(x), gated.output(gated.gate(x).sigmoid() * gated.input(x)))


def test_every_activation_is_its_formula():
    x = torch.linspace(-3, 3, 13, dtype=torch.float64)
    formulas = {
        "gelu": x * 0.5 * (1 + torch.erf(x / 2**0.5)),
        "gelu_tanh": 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3))),
        "quick_gelu": x / (1 + torch.exp(-1.702 * x)),
        "relu": x.clamp(min=0),
        "squared_relu": x.clamp(min=0) ** 2,
        "silu": x / (1 + torch.exp(-x)),
        "sigmoid": 1 / (1 + torch.exp(-x)),
        "tanh": torch.tanh(x),
    }
    from framework.parts.feed_forward import ACTIVATIONS

    assert set(ACTIVATIONS) == set(formulas)
    for name, wanted in formulas.items():
        torch.testing.assert_close(ACTIVATIONS[name](x), wanted)


def test_a_limit_and_a_shift_are_in_the_gated_network():
    network = Part("feed_forward/gated", hidden=6, activation="relu", limit=0.5, shift=1.0)(dim=4, bias=True).double()
    x = torch.randn(5, 4, dtype=torch.float64) * 3
    gate, inner = (torch.minimum(layer(x), torch.tensor(0.5)) for layer in (network.gate, network.input))
    wanted = network.output(gate.clamp(min=0) * (torch.maximum(inner, torch.tensor(-0.5)) + 1))
    torch.testing.assert_close(network(x), wanted, rtol=0, atol=1e-12)


def test_positions_count_tokens():
    padding_mask = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 0, 0]]).bool()
    documents = torch.tensor([[0, 0, 1, 1, 1], [0, 1, 2, 2, 2]])
    ids = torch.zeros(2, 5, dtype=torch.long)
    assert make_positions(ids).tolist() == [[0, 1, 2, 3, 4]]
    assert make_positions(ids, padding_mask).tolist() == [[0, 0, 0, 1, 2], [0, 1, 2, 2, 2]]
    assert make_positions(ids, documents=documents).tolist() == [[0, 1, 0, 1, 2], [0, 0, 0, 1, 2]]


@pytest.mark.parametrize("family, stacks", [("decoder_only", ("decoder",)), ("encoder_decoder", ("encoder", "decoder"))])
@pytest.mark.parametrize("position", ["rotary", "relative"])
def test_checkpointing_changes_no_gradient(family, stacks, position):
    name = {"encoder": "encoder/standard", "decoder": "decoder/standard" if family == "decoder_only" else "decoder/cross"}
    plain, saving = (
        toy_model(
            family, dropout=0.5, position=Part(f"position/{position}"), **{s: Part(name[s], activation_checkpointing=on) for s in stacks}
        )
        for on in (False, True)
    )
    for model in (plain, saving):
        torch.manual_seed(1)
        loss(model.train()).backward()
    for (key, one), two in zip(plain.named_parameters(), saving.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, msg=key)


@pytest.mark.parametrize("position", ["sinusoidal", "rotary", "alibi", "relative"])
@pytest.mark.parametrize("attention", ["multi_head", "linear"])
def test_half_precision_gives_nearly_the_same_loss(attention, position):
    if attention == "linear" and position in ("alibi", "relative"):
        position = "none"
    model = toy_model("decoder_only", attention=Part(f"attention/{attention}"), position=Part(f"position/{position}")).float()
    full = loss(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = loss(model)
    assert mixed.item() == pytest.approx(full.item(), rel=ROUNDED)
    assert loss(model.bfloat16()).item() == pytest.approx(full.item(), rel=ROUNDED)


def test_first_weights_are_those_of_the_table():
    model = Part("model/decoder_only", dim=64, num_heads=4, num_layers=8, output_bias=True)(spec=DataSpec(500, 512))
    layer = model.decoder.layers[3]
    assert layer.attention.query.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert layer.attention.output.weight.std().item() == pytest.approx(0.02 / 4, rel=0.1)  # 16 additions to the stream
    assert layer.feed_forward.output.weight.std().item() == pytest.approx(0.02 / 4, rel=0.1)
    assert model.tokens.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert not layer.attention.query.bias.any() and not model.lm_head.bias.any()
    assert (model.decoder.final_norm.weight == 1).all()


def test_a_normed_stream_and_scaled_tokens_start_otherwise():
    values = {"dim": 64, "num_heads": 4, "num_layers": 8, "block": Part("block/post_norm"), "embedding_scale": True, "tied": False}
    model = Part("model/encoder_decoder", **values)(spec=DataSpec(500, 512))
    assert model.decoder.layers[3].cross.output.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert model.tokens.weight.std().item() == pytest.approx(1 / 8, rel=0.1)
    assert model.tokens(torch.arange(500)).std().item() == pytest.approx(1.0, rel=0.1)
    assert model.lm_head.weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_initialize_undoes_whatever_was_there():
    model = toy_model("decoder_only")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    initialize(model, 0.02)
    assert all(parameter.isfinite().all() for parameter in model.parameters())


def test_no_weight_is_stored_twice():
    model = toy_model("encoder_decoder")
    stored = [value.data_ptr() for value in model.state_dict().values()]
    assert len(stored) == len(set(stored))
