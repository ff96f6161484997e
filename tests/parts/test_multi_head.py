"""Options of multi-head attention against formulas and against the attentions of transformers that have them, in float64."""

from types import SimpleNamespace

import pytest
import torch
from transformers.models.gemma2 import modeling_gemma2
from transformers.models.gpt_oss import modeling_gpt_oss

from framework.parts.attention.multi_head import MultiHeadAttention
from framework.parts.layout import SequenceLayout
from framework.parts.masks import Mask
from framework.registry import Part
from framework.testing import check, toy_model
from tests.precision import close, doubles

DIM, HEADS, GROUPS, WIDTH = 12, 4, 2, 3
OFFERS = {"dim": DIM, "num_heads": HEADS, "dropout": 0.0, "bias": True, "epsilon": 1e-5}
X = torch.randn(2, 5, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
LAYOUT = SequenceLayout(torch.arange(5)[None])
OPTIONS = [
    {"logit_cap": 2.0},
    {"sinks": True},
    {"gate": "feature"},
    {"gate": "head"},
    {"logit_cap": 2.0, "sinks": True, "gate": "head", "num_kv_heads": 2, "qk_norm": Part("norm/rms")},
]


@pytest.fixture(autouse=True)
def precision():
    """Runs both sides in float64."""
    torch.manual_seed(0)
    with doubles():
        yield


def attend(attention, mask):
    return attention(X, attention.keys_values(X, LAYOUT), LAYOUT, mask)


def theirs(attention, kernel, module, **options):
    """The attention with the kernel of a module of transformers, under the causal mask."""
    query, key, value = (
        linear(X).unflatten(-1, (-1, WIDTH)).transpose(1, 2) for linear in (attention.query, attention.key, attention.value)
    )
    mask = torch.zeros(5, 5).masked_fill(torch.ones(5, 5).bool().triu(1), float("-inf"))[None, None]
    attended, _ = kernel(module, query, key, value, mask, scaling=WIDTH**-0.5, **options)
    return attention.output(attended.flatten(2))


def test_the_cap_is_that_of_gemma_2():
    attention = Part(MultiHeadAttention, num_kv_heads=GROUPS, logit_cap=0.3)(**OFFERS)
    module = SimpleNamespace(num_key_value_groups=HEADS // GROUPS, training=False, head_dim=WIDTH)
    close(attend(attention, Mask(5, 5, True)), theirs(attention, modeling_gemma2.eager_attention_forward, module, softcap=0.3))


def test_the_sinks_are_those_of_gpt_oss():
    attention = Part(MultiHeadAttention, num_kv_heads=GROUPS, sinks=True)(**OFFERS)
    torch.nn.init.normal_(attention.sinks)
    module = SimpleNamespace(num_key_value_groups=HEADS // GROUPS, training=False, sinks=attention.sinks)
    close(attend(attention, Mask(5, 5, True)), theirs(attention, modeling_gpt_oss.eager_attention_forward, module))


@pytest.mark.parametrize("gate", ["feature", "head"])
def test_the_gate_multiplies_the_heads_before_the_output_projection(gate):
    attention, heads = Part(MultiHeadAttention, gate=gate)(**OFFERS), []
    attention.output.register_forward_pre_hook(lambda module, arguments: heads.append(arguments[0]))
    gates, gate_of = attention.gate(X), attention.gate
    attend(attention, Mask(5, 5))
    attention.gate = None
    attend(attention, Mask(5, 5))
    gated, plain = heads
    assert gate_of.out_features == (HEADS if gate == "head" else HEADS * WIDTH)
    for feature in range(HEADS * WIDTH):
        number = feature // WIDTH if gate == "head" else feature
        close(gated[..., feature], plain[..., feature] / (1 + (-gates[..., number]).exp()))


def test_options_that_are_off_have_no_weights():
    assert set(Part(MultiHeadAttention)(**OFFERS).state_dict()) == {
        f"{name}.{of}" for name in ("query", "key", "value", "output") for of in ("weight", "bias")
    }


@pytest.mark.matrix(0.4)
@pytest.mark.parametrize("family", ["encoder_only", "decoder_only", "encoder_decoder"])
@pytest.mark.parametrize("position", ["rotary", "alibi"])
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(options))
def test_the_options_keep_the_promises(family, position, options):
    check(toy_model(family, attention=Part("attention/multi_head", **options), position=Part(f"position/{position}")))
