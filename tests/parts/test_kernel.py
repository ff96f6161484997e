"""Keywords of the attention kernel: `is_causal` alone wherever it is equivalent to the mask."""

from dataclasses import replace

import pytest
import torch

from framework.parts.attention import kernels
from framework.parts.masks import Mask
from framework.registry import Part
from framework.testing import texts, toy_model


@pytest.fixture
def calls(monkeypatch):
    """`attn_mask` and `is_causal` of every call of `scaled_dot_product_attention`."""
    recorded = []
    kernel = kernels.scaled_dot_product_attention

    def record(*arguments, **keywords):
        recorded.append({key: value for key, value in keywords.items() if key in ("attn_mask", "is_causal")})
        assert keywords["enable_gqa"] is (arguments[0].shape[1] != arguments[1].shape[1])
        return kernel(*arguments, **keywords)

    monkeypatch.setattr(kernels, "scaled_dot_product_attention", record)
    return recorded


@pytest.mark.parametrize("position", ["learned", "rotary", "none"])
def test_causal_training_is_causal_alone(calls, position):
    model = toy_model("decoder_only", position=Part(f"position/{position}"))
    model(torch.stack(texts(6, 6)))
    assert calls == [{"is_causal": True}] * 2


def test_right_padded_causal_training_is_causal_alone(calls):
    model = toy_model("encoder_decoder")
    target = torch.stack(texts(6, 6))
    target[1, 4:] = 0  # padding on the right: a causal query never attends to it
    source_padding_mask = torch.ones(2, 5, dtype=torch.bool)
    source_padding_mask[1, 3:] = False
    model(torch.stack(texts(5, 5)), target, source_padding_mask)
    encoder, decoder, cross = calls[:2], calls[2::2], calls[3::2]
    assert decoder == [{"is_causal": True}] * 2
    for call in encoder + cross:
        assert list(call) == ["attn_mask"] and call["attn_mask"].shape == (2, 1, 1, 5)


def test_full_attention_needs_no_mask(calls):
    toy_model("encoder_only")(torch.stack(texts(6, 6)))
    assert calls == [{}] * 2


def test_one_token_that_is_added_needs_no_mask(calls):
    model = toy_model("decoder_only")
    state = model.state()
    model.decode(torch.stack(texts(4, 4)), state)
    model.decode(torch.stack(texts(1, 1)), state)
    assert calls == [{"is_causal": True}] * 2 + [{}] * 2


@pytest.mark.parametrize("window", [6, 100])
def test_a_window_over_all_keys_is_no_window(calls, window):
    toy_model("decoder_only", decoder=Part("decoder/standard", window=window))(torch.stack(texts(6, 6)))
    assert calls == [{"is_causal": True}] * 2


def test_layers_with_one_window_share_one_mask(calls):
    model = toy_model(
        "decoder_only", num_layers=4, decoder=Part("decoder/standard", window=2, layers=[{}, {"window": None}, {}, {"window": 3}])
    )
    model(torch.stack(texts(6, 6)))
    assert calls[1] == {"is_causal": True}
    assert calls[0]["attn_mask"] is calls[2]["attn_mask"] is not calls[3]["attn_mask"]


def test_layers_share_one_bias(calls):
    toy_model("decoder_only", position=Part("position/alibi"))(torch.stack(texts(6, 6)))
    assert calls[0]["attn_mask"] is calls[1]["attn_mask"]


def test_shared_key_value_heads_reach_the_kernel_as_they_are(calls):
    toy_model("decoder_only", attention=Part("attention/multi_head", num_kv_heads=2))(torch.stack(texts(6, 6)))
    assert calls == [{"is_causal": True}] * 2  # the fixture looks at enable_gqa


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [None, 1, 3, 9])
@pytest.mark.parametrize("queries", [1, 4, 7])
def test_a_mask_is_what_its_sentence_says(causal, window, queries):
    keys = 7
    padding_mask = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1, 0]]).bool()
    documents = torch.tensor([[0, 0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 0, 0, 0]])
    mask = Mask(queries, keys, causal, padding_mask, (documents[:, keys - queries :], documents), window)
    seen = mask.dense().expand(2, 1, queries, keys)
    for row in range(2):
        for query in range(queries):
            stands = keys - queries + query
            for key in range(keys):
                expected = bool(documents[row, stands] == documents[row, key])
                expected &= bool(padding_mask[row, key]) or key == stands
                expected &= not causal or key <= stands
                expected &= window is None or abs(key - stands) < window
                assert seen[row, 0, query, key] == expected


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [None, 1, 2])
@pytest.mark.parametrize("packed", [False, True])
def test_every_query_has_a_key(causal, window, packed):
    """Else a softmax over scores is not a number, and the next layer spreads it."""
    padding_mask = torch.tensor([[0, 0, 0, 1, 1], [1, 1, 0, 0, 0]]).bool()
    documents = torch.tensor([[1, 1, 1, 0, 0], [0, 0, 1, 2, 2]])
    mask = Mask(5, 5, causal, padding_mask, (documents, documents) if packed else None, window)
    assert mask.dense().expand(2, 1, 5, 5).any(-1).all()


def test_padding_alone_needs_no_mask_of_queries():
    padding_mask = torch.tensor([[1, 1, 0]]).bool()
    assert Mask(3, 3, padding_mask=padding_mask).dense().equal(padding_mask[:, None, None])


def test_a_changed_mask_has_keywords_of_its_own():
    mask = Mask(3, 3, causal=True)
    assert mask.sdpa() == {"is_causal": True} and replace(mask, causal=False).sdpa() == {}
    bias = torch.randn(1, 2, 3, 3)
    assert replace(mask, causal=False, bias=bias).sdpa()["attn_mask"] is bias
    assert replace(mask, bias=bias).sdpa()["attn_mask"].isneginf().equal(torch.ones(1, 2, 3, 3).triu(1).bool())
    with pytest.raises(ValueError, match="_sdpa"):
        replace(mask, _sdpa={})


def test_the_keywords_are_made_once_for_all_layers():
    mask = Mask(3, 3, padding_mask=torch.ones(1, 3, dtype=torch.bool))
    assert mask.sdpa()["attn_mask"] is mask.sdpa()["attn_mask"]
