"""Patterns of layers on the command line and in presets: what they mean, and what is refused."""

import pytest

from framework.config import catalogue as index
from framework.config.compose import compose
from framework.config.layers import with_layers
from framework.errors import UserError
from framework.registry.layers import layer_settings, numbered, selected, with_entries
from framework.runs.summary import parts_line

WORDS = ["task=completion", "model.num_layers=4", "model/position=rotary"]


def attentions(config, depth=4):
    """The attention of each layer."""
    stack = config["model"]["decoder"]
    return [setting.get("attention", stack["attention"])["part"].partition("/")[2] for setting in layer_settings(stack["layers"], depth)]


@pytest.fixture
def preset(tmp_path):
    (tmp_path / "model").mkdir()
    layers = "[linear, {attention: {num_kv_heads: 2}}]"
    text = f"# Hybrid\nis: small_decoder\nnum_layers: 4\nposition: rotary\ndecoder: {{is: standard, layers: {layers}}}\n"
    (tmp_path / "model" / "hybrid.yaml").write_text(text)
    return [tmp_path]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[linear,multi_head]", ["linear", "multi_head"] * 2),
        ("[linear,linear,multi_query]", ["linear", "linear", "multi_head", "linear"]),
        ("{every 2: linear}", ["multi_head", "linear"] * 2),
        ("{first: linear, last 2: {attention: {is: linear, chunk: 8}}}", ["linear", "multi_head", "linear", "linear"]),
        ("{0: linear, 2-3: linear, 3: multi_head}", ["linear", "multi_head", "linear", "multi_head"]),
        ("[{}]", ["multi_head"] * 4),
    ],
)
def test_what_a_pattern_means(pattern, expected):
    assert attentions(compose([*WORDS, f"model.decoder.layers={pattern}"]).config) == expected


def test_entries_are_whole_nodes():
    config = compose([*WORDS, "model.decoder.layers=[multi_query,{attention: {head_dim: 8}, window: 3}]"]).config
    first, second = config["model"]["decoder"]["layers"]
    assert first["attention"]["num_kv_heads"] == 1 and first["attention"]["qk_norm"]["part"] == "norm/none"
    assert second == {"attention": {**config["model"]["attention"], "head_dim": 8}, "window": 3}
    assert with_layers(config, index.load()) == config


def test_a_preset_and_the_command_line(preset):
    def composed(*words):
        return compose(["task=completion", "model=hybrid", *words], preset).config

    hybrid = composed()
    assert attentions(hybrid) == ["linear", "multi_head"] * 2
    assert hybrid["model"]["decoder"]["layers"][1]["attention"]["num_kv_heads"] == 2
    for word in ("model/attention=multi_head", "model/decoder/attention=multi_head"):
        assert attentions(composed(word)) == ["multi_head"] * 4  # everywhere
    assert attentions(composed("model/attention=linear", "model.decoder.layers=[{}]")) == ["linear"] * 4
    assert attentions(composed("model.decoder.layers={last: linear}")) == ["multi_head"] * 3 + ["linear"]  # in the place of the list
    assert attentions(composed("model.decoder.layers=null")) == ["multi_head"] * 4


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["model.decoder.layers=[linear,linear,linear,linear,linear]"], ("model.decoder", "5 entries")),
        (["model.decoder.layers=[]"], ("model.decoder", "0 entries")),
        (["model.decoder.layers={evry 2: linear}"], ("'evry 2'", "every 3")),
        (["model.decoder.layers={every 5: linear}"], ("'every 5'", "0 to 3")),
        (["model.decoder.layers={every 0: linear}"], ("'every 0'",)),
        (["model.decoder.layers={2-9: linear}"], ("'2-9'", "0 to 3")),
        (["model.decoder.layers={3-1: linear}"], ("'3-1'",)),
        (["model.decoder.layers={last 5: linear}"], ("'last 5'",)),
        (["model.decoder.layers=[lineer]"], ("model.decoder.layers.0.attention", "'lineer'", "'linear'")),
        (["model.decoder.layers=linear"], ("model.decoder.layers", "'linear'", "list")),
        (["model.decoder.layers=[3]"], ("model.decoder.layers", "3 is no layer")),
        (["model.decoder.layers=[{windw: 3}]"], ("'windw'", "'window'")),
        (["model.decoder.layers=[{window: wide}]"], ("model.decoder.layers.0.window", "'wide'")),
        (["model.decoder.layers=[{},{window: 0}]"], ("layers 1, 3", "window=0")),
        (["model.decoder.layers=[{norm: null}]"], ("norm of a layer is None",)),
        (["model.decoder.layers=[{cross: linear}]"], ("model.decoder.layers.0.cross", "no slot cross")),
        (["model.decoder.layers=[{attention: {num_kv_head: 1}}]"], ("model.decoder.layers.0.attention.num_kv_head", "'num_kv_heads'")),
        (["model.decoder.layers=[{attention: {num_kv_heads: 3}}]"], ("model.decoder.attention", "num_kv_heads=3")),
        (["model.decoder.layers={last: {attention: linear, window: 4}}"], ("model.decoder.attention of layer 3", "window")),
        (["model.decoder.layers={0-1: linear}", "model/position=alibi"], ("model.decoder.attention of layers 0, 1", "position bias")),
        (
            ["model.decoder.layers={2: {position: none}}", "model/position=learned"],
            ("model.decoder.position of layer 2", "every layer sees"),
        ),
        (["model.decoder.layers={2: {position: learned}}"], ("model.decoder.position of layer 2", "every layer sees")),
    ],
)
def test_a_wrong_pattern_is_refused_with_the_layer(words, named):
    with pytest.raises(UserError) as refused:
        compose([*WORDS, *words])
    for text in named:
        assert text in str(refused.value)


def test_two_entries_of_one_layer_are_refused():
    with pytest.raises(UserError, match="layers 1 have two entries"):
        with_entries({1: "linear", "1": "multi_head"}, lambda _, setting: setting)


def test_each_stack_has_its_own():
    words = ["task=translation", "model.num_layers=2", "model.num_decoder_layers=3", "model/position=rotary"]
    config = compose([*words, "model.encoder.layers=[linear,multi_head]", "model.decoder.layers={last: {cross: linear}}"]).config
    assert config["model"]["decoder"]["layers"]["last"]["cross"]["part"] == "attention/linear"
    with pytest.raises(UserError, match="2 entries|3 entries"):
        compose([*words, "model.encoder.layers=[linear,linear,linear]"])


def test_the_card_names_the_layers_that_differ():
    config = compose(
        [*WORDS, "model.decoder.layers={every 2: {attention: linear}, last: {attention: {num_kv_heads: 1}, window: 3}}"]
    ).config
    assert parts_line(config).splitlines()[1:] == [
        "  decoder layer 1: attention linear",
        "  decoder layer 3: attention multi_head with num_kv_heads=1, window 3",
    ]
    assert numbered([0, 1, 2, 3, 7]) == "layers 0 to 3, 7" and selected("first, last", 5) == [0, 4]
