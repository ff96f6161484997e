"""Differential and latent attention and the gated delta rule: formulas, one number at a time, and modules of transformers, in float64."""

import math

import pytest
import torch
from torch import nn
from transformers.models.deepseek_v2.configuration_deepseek_v2 import DeepseekV2Config
from transformers.models.deepseek_v2.modeling_deepseek_v2 import DeepseekV2Attention
from transformers.models.qwen3_next.configuration_qwen3_next import Qwen3NextConfig
from transformers.models.qwen3_next.modeling_qwen3_next import Qwen3NextGatedDeltaNet

from framework.parts.attention import gated_delta
from framework.parts.attention.differential import DifferentialAttention
from framework.parts.attention.gated_delta import GatedDeltaAttention, convolved, delta_rule
from framework.parts.attention.latent import LatentAttention
from framework.parts.attention.retention import RetentionAttention, retention
from framework.parts.layout import SequenceLayout
from framework.parts.masks import Mask
from framework.parts.positions.rotary import RotaryPosition
from framework.registry import Part
from framework.testing import check, toy_model
from tests.precision import close, doubles

DIM, HEADS, TOKENS = 16, 2, 7
OFFERS = {"dim": DIM, "num_heads": HEADS, "dropout": 0.0, "bias": True, "epsilon": 1e-5, "layer": 1, "causal": True}
POSITIONS = torch.arange(TOKENS)[None]


@pytest.fixture(autouse=True)
def precision():
    """Runs both sides in float64, with weights as after some training."""
    torch.manual_seed(0)
    with doubles():
        yield


def built(cls, bias=True, **options):
    attention = Part(cls, **options)(**{**OFFERS, "bias": bias})
    with torch.no_grad():
        for name, parameter in attention.named_parameters():
            if name not in ("log_decay", "step"):
                parameter.normal_(std=0.4)
    return attention


def layout_of(interleaved=False, dim=4):
    return SequenceLayout(POSITIONS, rotary=RotaryPosition(interleaved=interleaved).rotary(POSITIONS, dim))


def test_differential_attention_is_the_difference_of_the_paper():
    attention, x, layout = built(DifferentialAttention), torch.randn(1, TOKENS, DIM), layout_of()
    got = attention(x, attention.keys_values(x, layout), layout, Mask(TOKENS, TOKENS, True))[0]
    queries, keys = (
        layout.apply_rotary(linear(x).view(1, TOKENS, 2 * HEADS, 4).transpose(1, 2))[0] for linear in (attention.query, attention.key)
    )
    start = 0.8 - 0.6 * math.exp(-0.3 * 1)  # layer 2 of the paper, which counts from 1
    factors = [math.exp(float(a @ b)) for a, b in zip(attention.lambda_queries.detach(), attention.lambda_keys.detach(), strict=True)]
    weight = factors[0] - factors[1] + start
    for t in range(TOKENS):
        heads = []
        for head in range(HEADS):
            value = attention.value(x)[0, : t + 1, 8 * head : 8 * head + 8]
            one, two = (
                (keys[2 * head + half, : t + 1] @ queries[2 * head + half, t] / math.sqrt(4)).softmax(-1) @ value for half in (0, 1)
            )
            mixed = one - weight * two
            heads.append((1 - start) * mixed / (mixed.square().mean() + 1e-5).sqrt() * attention.norm.weight)
        close(got[t], attention.output(torch.cat(heads)))


@pytest.mark.parametrize("query_dim", [None, 6])
def test_latent_attention_is_that_of_deepseek_v2(query_dim):
    config = DeepseekV2Config(
        hidden_size=DIM,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        q_lora_rank=query_dim,
        kv_lora_rank=10,
        qk_rope_head_dim=4,
        qk_nope_head_dim=6,
        v_head_dim=6,
        attention_bias=True,
        attn_implementation="eager",
    )
    theirs = DeepseekV2Attention(config, 0)
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.4)
    theirs.kv_a_layernorm.variance_epsilon = 1e-5
    mine = Part(LatentAttention, latent_dim=10, query_dim=query_dim, head_dim=6, rotated_dim=4)(**OFFERS)
    names = {"down": "kv_a_proj_with_mqa", "norm": "kv_a_layernorm", "output": "o_proj"}
    if query_dim is None:
        names |= {"query": "q_proj"}
    else:
        theirs.q_a_layernorm.variance_epsilon = 1e-5
        names |= {"query_up": "q_b_proj", "query_down": "q_a_proj", "query_norm": "q_a_layernorm"}
    for own, other in names.items():
        mine.get_submodule(own).load_state_dict(theirs.get_submodule(other).state_dict())
    mine.up.load_state_dict(theirs.kv_b_proj.state_dict())
    x, layout = torch.randn(2, TOKENS, DIM), layout_of(interleaved=True)
    angles = POSITIONS[..., None] * 10000.0 ** (-torch.arange(0, 4, 2) / 4)
    hidden = torch.zeros(TOKENS, TOKENS).masked_fill(torch.ones(TOKENS, TOKENS).bool().triu(1), -torch.inf)[None, None]
    wanted = theirs(x, hidden, None, torch.polar(torch.ones_like(angles), angles).expand(2, -1, -1))[0]
    close(mine(x, mine.keys_values(x, layout), layout, Mask(TOKENS, TOKENS, True)), wanted)


def test_few_queries_of_latent_attention_never_expand_the_keys():
    """Two queries take the way by the latent; all seven take the way by keys and values."""
    attention, x, layout = built(LatentAttention), torch.randn(2, TOKENS, DIM), layout_of()
    keys_values = attention.keys_values(x, layout)
    whole = attention(x, keys_values, layout, Mask(TOKENS, TOKENS, True))
    last = SequenceLayout(POSITIONS[:, -2:], rotary=RotaryPosition().rotary(POSITIONS[:, -2:], 4))
    calls = []
    attention.up.register_forward_hook(lambda *_: calls.append(1))
    close(attention(x[:, -2:], keys_values, last, Mask(2, TOKENS, True)), whole[:, -2:])
    assert not calls
    assert [tuple(each.shape) for each in keys_values] == [(2, 1, TOKENS, 32), (2, 1, TOKENS, 4)]  # what a cache holds


def steps(query, key, value, decay, beta, memory, documents=None):
    """The recurrence of the paper for one head: a step at a time, with the matrix 1 - b k k^T written out."""
    outputs, start = [], memory
    for t in range(len(query)):
        if documents is not None and t and documents[t] != documents[t - 1]:
            memory = start
        k, identity = key[t], torch.eye(key.shape[1])
        memory = decay[t].exp() * (identity - beta[t] * torch.outer(k, k)) @ memory + beta[t] * torch.outer(k, value[t])
        outputs.append(query[t] @ memory)
    return torch.stack(outputs), memory


@pytest.mark.parametrize("length", [1, 3, 8, 13])
@pytest.mark.parametrize("packed", [False, True])
def test_chunks_of_the_delta_rule_are_its_steps(length, packed, monkeypatch):
    monkeypatch.setattr(gated_delta, "CHUNK", 4)
    query, key, value = (torch.randn(2, HEADS, length, width) for width in (5, 5, 3))
    key = nn.functional.normalize(key, dim=-1)
    decay, beta = -torch.rand(2, HEADS, length) * 3, torch.rand(2, HEADS, length)
    memory = torch.zeros(2, HEADS, 5, 3) if packed else torch.randn(2, HEADS, 5, 3)
    documents = torch.arange(length).div(3, rounding_mode="floor").expand(2, -1) if packed else None
    given = [each.requires_grad_() for each in (query, key, value, decay, beta)]
    outputs, after = delta_rule(*given, memory, documents)
    for b in range(2):
        for head in range(HEADS):
            row = [each[b, head] for each in (*given, memory)]
            wanted, last = steps(*row, None if documents is None else documents[b])
            close(outputs[b, head], wanted)
            if documents is None:
                close(after[b, head], last)
    whole = torch.stack(
        [
            torch.stack(
                [steps(*(each[b, head] for each in (*given, memory)), None if documents is None else documents[b])[0] for head in (0, 1)]
            )
            for b in (0, 1)
        ]
    )
    for got, want in zip(*(torch.autograd.grad(each.square().sum(), given) for each in (outputs, whole)), strict=True):
        close(got, want)


def test_the_convolution_is_torchs_and_stays_in_a_document():
    x, weight = torch.randn(2, 9, 6), torch.randn(4, 6)
    wanted = nn.functional.conv1d(x.mT, weight.T[:, None], groups=6).mT
    close(convolved(x, weight, None), wanted)
    padded = nn.functional.pad(x, (0, 0, 3, 0))
    documents = torch.tensor([0, 0, 0, 0, 0, 1, 1, 2, 2]).expand(2, -1)
    alone = [convolved(nn.functional.pad(x[:, a:b], (0, 0, 3, 0)), weight, None) for a, b in ((0, 5), (5, 7), (7, 9))]
    close(convolved(padded, weight, documents), torch.cat(alone, dim=1))


def test_gated_delta_attention_is_that_of_qwen3_next():
    config = Qwen3NextConfig(
        hidden_size=DIM,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        linear_num_key_heads=HEADS,
        linear_num_value_heads=HEADS,
        linear_key_head_dim=6,
        linear_value_head_dim=5,
        linear_conv_kernel_dim=3,
        rms_norm_eps=1e-5,
        hidden_act="silu",
        layer_types=["linear_attention"],
    )
    theirs, mine = Qwen3NextGatedDeltaNet(config, 0), built(GatedDeltaAttention, bias=False, head_dim=6, value_dim=5, convolution=3)
    with torch.no_grad():
        theirs.A_log.copy_(mine.log_decay)
        theirs.dt_bias.copy_(mine.step)
        theirs.norm.weight.copy_(mine.norm.weight)
        theirs.out_proj.weight.copy_(mine.output.weight)
        query, key, value = mine.convolution.T.unflatten(0, (HEADS, -1)).split([6, 6, 5], dim=1)
        theirs.conv1d.weight.copy_(torch.cat([each.flatten(0, 1) for each in (query, key, value)])[:, None])
        heads = [mine.input.weight.unflatten(0, (HEADS, -1)), mine.gate.weight.unflatten(0, (HEADS, -1))]
        theirs.in_proj_qkvz.weight.copy_(torch.cat(heads, dim=1).flatten(0, 1))
        forget, correct = mine.rates.weight.chunk(2)
        theirs.in_proj_ba.weight.copy_(torch.stack((correct, forget), dim=1).flatten(0, 1))
    x, layout = torch.randn(2, TOKENS, DIM), SequenceLayout(POSITIONS)
    close(mine(x, mine.keys_values(x, layout), layout, Mask(TOKENS, TOKENS, True)), theirs(x))


@pytest.mark.parametrize("length", [1, 3, 4, 13])
@pytest.mark.parametrize("packed", [False, True])
def test_retention_in_chunks_is_its_sum(length, packed):
    """Equation 5 of Sun et al. 2023, over all pairs of tokens; a state before the first token is that of earlier tokens."""
    query, key, value = (torch.randn(2, HEADS, length + 2, 5, requires_grad=True) for _ in range(3))
    decay = (-torch.rand(2, HEADS, length + 2)).requires_grad_()
    documents = torch.arange(length + 2).div(3, rounding_mode="floor").expand(2, -1)
    wanted = torch.stack(
        [
            sum(
                decay[..., j + 1 : i + 1].sum(-1, keepdim=True).exp()
                * (query[..., i, :] * key[..., j, :]).sum(-1, keepdim=True)
                * value[..., j, :]
                for j in range(i + 1)
                if not packed or documents[0, i] == documents[0, j]
            )
            for i in range(length + 2)
        ],
        dim=2,
    )
    given = (query, key, value, decay)
    found = retention(*given, chunk=4, documents=documents if packed else None)
    close(found, wanted)
    for got, want in zip(*(torch.autograd.grad(each.square().sum(), given, retain_graph=True) for each in (found, wanted)), strict=True):
        close(got, want)
    if not packed:
        state = (key[:, :, :2] * (decay[..., 1:2] * torch.tensor([1.0, 0.0])).exp()[..., None]).mT @ value[:, :, :2]
        close(retention(*(each[:, :, 2:] for each in given), state, chunk=4), wanted[:, :, 2:])


def test_decays_of_retention():
    fixed, gated = built(RetentionAttention), built(RetentionAttention, decay="gated")
    x, layout = torch.randn(2, TOKENS, DIM), SequenceLayout(POSITIONS)
    close(fixed.keys_values(x, layout)[2].exp()[1, :, 3], torch.tensor([1 - 2.0 ** (-5 - head) for head in range(HEADS)]))
    assert gated.forget is not None
    close(gated.keys_values(x, layout)[2].exp(), gated.forget(x).sigmoid().mT ** (1 / 16))


@pytest.mark.parametrize("name", ["gated_delta", "retention"])
def test_recurrent_attentions_are_refused_where_they_cannot_look_back(name):
    attention = Part(f"attention/{name}")
    with pytest.raises(ValueError, match="left to right"):
        toy_model("encoder_only", attention=attention)
    with pytest.raises(ValueError, match="left to right"):
        toy_model("encoder_decoder", decoder=Part("decoder/cross", attention=attention, cross=attention))


@pytest.mark.parametrize(
    ("family", "values"),
    [
        ("encoder_decoder", {"decoder": Part("decoder/cross", attention=Part("attention/gated_delta", value_dim=6, convolution=2))}),
        ("decoder_only", {"attention": Part("attention/gated_delta", head_dim=3, convolution=1)}),
        (
            "decoder_only",
            {"attention": Part("attention/retention", head_dim=4, chunk=3, decay="gated"), "position": Part("position/rotary")},
        ),
        ("decoder_only", {"attention": Part("attention/latent", query_dim=6, latent_dim=10), "position": Part("position/rotary")}),
        ("encoder_decoder", {"attention": Part("attention/latent", head_dim=3, rotated_dim=2), "position": Part("position/alibi")}),
    ],
)
def test_options_keep_the_promises(family, values):
    check(toy_model(family, **values))
