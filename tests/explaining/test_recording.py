"""Recorded attention against a softmax of the scores, one head and query at a time; vectors against hooks; parts without scores."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from framework import Attention, AttentionWeights, build_model, compose, log_attention
from framework.explaining.heads import looks
from framework.explaining.recording import HeadWeights, recorded
from framework.parts.attention.multi_head import MultiHeadAttention

SMALL = ["model.dim=16", "model.num_layers=2", "model.num_heads=4", "model.max_length=16", "model.initial_std=0.4", "tokenizer=bytes"]
PARTS = {
    "learned": [],
    "alibi": ["model/position=alibi"],
    "rotary": ["model/position=rotary"],
    "relative": ["model/position=relative"],
    "grouped": ["model.attention.num_kv_heads=2"],
    "one key/value head, scale": ["model.attention.num_kv_heads=1", "model.attention.scale=1.0"],
    "norm of queries and keys": ["model/attention/qk_norm=rms"],
}
TASKS = {"encoder": "classification", "decoder": "completion", "encoder_decoder": "translation"}


class Watched(nn.Module):
    """A task of one model: a batch is the arguments of the model."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, batch):
        return self.model(*batch)


def batch_of(family):
    ids, mask = torch.tensor([[5, 9, 7, 30, 11, 0, 0], [6, 8, 7, 5, 12, 13, 14]]), torch.ones(2, 7, dtype=torch.bool)
    mask[0, 5:] = False
    if family == "encoder_decoder":
        return ids, torch.tensor([[1, 20, 21, 22], [1, 23, 24, 25]]), mask
    return ids, mask


def formula(module, x, keys_values, layout, mask):
    """Weights (H, T, S) of the first row, as loops over heads, queries and keys."""

    def split(states):
        return states.unflatten(-1, (-1, module.rotary_dim)).transpose(1, 2)

    query = layout.apply_rotary(module.query_norm(split(module.query(x))))[0].double()
    key = keys_values[0][0].double()
    allowed, found = mask.dense(), torch.zeros(len(query), query.shape[1], key.shape[1], dtype=torch.float64)
    for head in range(len(query)):
        for number in range(query.shape[1]):
            total = 0.0
            for place in range(key.shape[1]):
                if allowed is not None and not bool(allowed[0, 0].expand(query.shape[1], -1)[number, place]):
                    continue
                score = float(query[head, number] @ key[head // (len(query) // len(key)), place])
                score *= module.scale or 1 / math.sqrt(module.rotary_dim)
                score += 0.0 if mask.bias is None else float(mask.bias[0, head, number, place])
                found[head, number, place] = math.exp(score)
                total += math.exp(score)
            found[head, number] /= total
    return found


CASES = [("encoder", part) for part in (*PARTS, "window")]
CASES += [(family, part) for family in ("decoder", "encoder_decoder") for part in ("alibi", "grouped", "window")]


@pytest.mark.parametrize(("family", "part"), CASES)
def test_weights_are_the_softmax_of_the_scores(family, part):
    stack = "encoder" if family == "encoder" else "decoder"
    words = [f"model.{stack}.window=3"] if part == "window" else PARTS[part]
    model = build_model(compose([f"task={TASKS[family]}", *SMALL, *words])).eval()
    seen = []
    for module in model.modules():
        if isinstance(module, MultiHeadAttention):
            module.register_forward_pre_hook(lambda module, arguments: seen.append((module, arguments)))
    found = recorded(Watched(model), batch_of(family))
    assert len(found.attention) == len(seen) == (6 if family == "encoder_decoder" else 2)
    for each, (module, arguments) in zip(found.attention, seen, strict=True):
        with torch.no_grad():
            expected = formula(module, *arguments).numpy()
        np.testing.assert_allclose(each.weights, expected, atol=1e-6)
        np.testing.assert_allclose(each.weights.sum(axis=-1), 1, atol=1e-6)
    names = [(each.stack, each.kind, each.layer, each.keys) for each in found.attention]
    if family == "encoder_decoder":
        assert names[:2] == [("encoder", "self", 1, "encoder"), ("encoder", "self", 2, "encoder")]
        assert names[2:4] == [("decoder", "self", 1, "decoder"), ("decoder", "cross", 1, "encoder")]
        assert found.ids == {"encoder": [5, 9, 7, 30, 11, 0, 0], "decoder": [1, 20, 21, 22]}
    else:
        assert names == [(family, "self", 1, family), (family, "self", 2, family)]


def test_vectors_are_those_of_the_layers():
    model = build_model(compose(["task=classification", *SMALL])).eval()
    states = []
    for layer in model.encoder.layers:
        layer.register_forward_hook(lambda module, arguments, output: states.append(output))
    found = recorded(Watched(model), batch_of("encoder"))
    with torch.no_grad():
        final = model(*batch_of("encoder"))
    vectors = found.vectors["encoder"]
    assert vectors.shape == (3, 7, 16)
    np.testing.assert_allclose(vectors[1], states[0][0].detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(vectors[2], final[0].numpy(), atol=1e-6)  # after the final norm
    assert not model.encoder.layers[0]._forward_pre_hooks and len(model.encoder.layers[0]._forward_hooks) == 1  # ours are gone


def test_layers_that_share_weights_are_counted():
    model = build_model(compose(["task=classification", *SMALL, "model/encoder=shared"]))
    found = recorded(Watched(model), batch_of("encoder"))
    assert [each.layer for each in found.attention] == [1, 2] and len(found.vectors["encoder"]) == 3


def test_a_part_without_scores_is_named():
    model = build_model(compose(["task=classification", *SMALL, "model/attention=linear", "model/position=learned"]))
    found = recorded(Watched(model), batch_of("encoder"))
    assert found.attention == [] and found.without == ["attention/linear"] and found.vectors["encoder"].shape == (3, 7, 16)


class OwnScores(Attention):
    """Uniform attention, by its own softmax."""

    rotary_dim = 4

    def keys_values(self, x, layout):
        return x[:, None], x[:, None]

    def forward(self, x, keys_values, layout, mask):
        weights = torch.zeros(x.shape[0], 1, x.shape[1], x.shape[1]).softmax(-1)
        log_attention(weights)
        return (weights @ keys_values[1])[:, 0]


def test_a_part_hands_its_own_weights_over():
    model = build_model(compose(["task=classification", *SMALL]))
    model.encoder.layers[0].attention = OwnScores()
    found = recorded(Watched(model), batch_of("encoder"))
    assert [each.weights.shape for each in found.attention] == [(1, 7, 7), (4, 7, 7)]
    np.testing.assert_allclose(found.attention[0].weights, 1 / 7)


def test_the_innermost_recorder_receives():
    log_attention(torch.ones(1, 1, 1, 1))  # nobody records: nothing happens
    with AttentionWeights() as outer:
        with AttentionWeights() as inner:
            log_attention(torch.ones(1, 1, 2, 2))
        log_attention(torch.ones(1, 1, 1, 1))
    assert [len(each.weights) for each in (outer, inner)] == [1, 1] and inner.weights[0].shape[-1] == 2


def test_where_a_head_looks():
    weights = np.array([[[1.0, 0.0, 0.0], [0.7, 0.3, 0.0], [0.2, 0.3, 0.5]]])
    (look,) = looks(HeadWeights("decoder", "self", 1, weights, "decoder"))
    assert (look.itself, look.before, look.behind) == pytest.approx((1.8 / 3, 1.0 / 3, 0.0))
    assert look.first == pytest.approx(1.9 / 3) and (look.query, look.key, look.most) == (1, 0, 0.7)
    entropies = [0.0, -0.7 * math.log(0.7) - 0.3 * math.log(0.3), -sum(p * math.log(p) for p in (0.2, 0.3, 0.5))]
    assert look.spread == pytest.approx(sum(map(math.exp, entropies)) / 3)
    (cross,) = looks(HeadWeights("decoder", "cross", 1, np.full((1, 2, 4), 0.25), "encoder"))
    assert math.isnan(cross.itself) and cross.spread == pytest.approx(4)
