"""Stacks whose layers differ keep the promises of those whose layers are alike, and compute what their layers say."""

from random import Random

import pytest
import torch

from framework.config import catalogue as index
from framework.config.compose import compose
from framework.config.constraints import conflicts, default_node, explicit_config
from framework.config.layers import with_layers
from framework.data.spec import DataSpec
from framework.registry import Part, build
from framework.registry.layers import layer_settings, shortest
from framework.testing import check, toy_model
from framework.testing.toy_models import OPTIONS, VOCABULARY, loss, texts

FAMILIES = {"encoder_only": "pretraining", "decoder_only": "completion", "encoder_decoder": "translation"}
STACKS = {"encoder_only": "encoder", "decoder_only": "decoder", "encoder_decoder": "decoder"}


@pytest.fixture(scope="module")
def configs():
    words = [f"model.{key}={value}" for key, value in OPTIONS.items()]
    return {family: compose([f"task={task}", f"model={family}", *words, "model.num_layers=4"]).config for family, task in FAMILIES.items()}


def drawn(random):
    """A pattern of layers."""
    names = {kind: sorted(index.load().options[kind]) for kind in ("attention", "feed_forward", "norm", "position")}

    def entry():
        entry = {key: random.choice(names[key]) for key in names if random.random() < 0.4}
        return {**entry, **({"window": random.choice([None, 2, 3])} if random.random() < 0.3 else {})}

    if random.random() < 0.5:
        return [entry() for _ in range(random.randint(1, 4))]
    return {selector: entry() for selector in random.sample(["first", "last 2", "every 2", "0", "1-2", "0, 3"], 2)}


def legal(number, configs):
    """The config of a drawn pattern and position that are legal, in a family by turns."""
    random, catalogue = Random(number), index.load()
    family = sorted(FAMILIES)[number % 3]
    while True:
        model = dict(configs[family]["model"])
        position = default_node(f"position/{random.choice(sorted(catalogue.options['position']))}", catalogue)
        for stack in {"encoder", "decoder"} & model.keys():
            model[stack] = {**model[stack], "position": position}
        model[STACKS[family]]["layers"] = drawn(random)
        config = explicit_config(with_layers({**configs[family], "model": model}, catalogue), catalogue)
        if not list(conflicts(config, catalogue)):
            return config


@pytest.mark.matrix(0.25, axes=())
@pytest.mark.parametrize("number", range(40))
def test_a_drawn_pattern_trains_and_keeps_the_promises(number, configs):
    config = legal(number, configs)
    torch.manual_seed(0)
    model = build(config["model"], spec=DataSpec(VOCABULARY, OPTIONS["max_length"])).double()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    before = loss(model)
    before.backward()
    optimizer.step()
    assert loss(model) < before
    check(model)


def test_layers_are_what_the_pattern_says():
    layers = {
        "every 2": {"attention": "linear", "position": "none"},
        "last": {"feed_forward": {"is": "gated", "hidden": 6}},
        "0": {"window": 2},
    }
    model = toy_model("decoder_only", num_layers=4, position=Part("position/rotary"), decoder=Part("decoder/standard", layers=layers))
    kinds = [(type(layer.attention).__name__, type(layer.feed_forward).__name__) for layer in model.decoder.layers]
    assert [kind[0] for kind in kinds] == ["MultiHeadAttention", "LinearAttention"] * 2 and kinds[0][1] == kinds[1][1] != kinds[3][1]
    assert model.decoder.windows == [2, None, None, None] and model.decoder.positions == [0, 1, 0, 1]
    assert [type(cache).__name__ for cache in model.decoder.caches()] == [
        type(layer.attention.cache()).__name__ for layer in model.decoder.layers
    ]


def test_a_layer_without_positions_does_not_see_them():
    """With two layers of which only the first sees positions, the second's scores do not change with them."""
    stack = Part("decoder/standard", layers=["multi_head", {"position": "none"}])
    model = toy_model("decoder_only", position=Part("position/rotary"), decoder=stack)
    ids = torch.stack(texts(5))
    layouts, masks = model.decoder.prepare(torch.zeros(1, 5, 16).double(), torch.arange(5)[None], None, None)
    assert layouts[0].rotary is not None and layouts[1].rotary is None and masks[1].bias is None
    assert model(ids).shape == (1, 5, 16)


def test_a_pattern_that_says_nothing_changes_nothing():
    ids = torch.stack(texts(6, 6))
    plain, same = (
        toy_model("decoder_only", decoder=Part("decoder/standard", layers=layers))(ids) for layers in (None, [{}, {"attention": {}}])
    )
    assert plain.equal(same)


def test_layers_that_share_weights_are_as_many_as_differ():
    shared = Part("encoder/shared", layers=["multi_head", "linear", {"window": 2}])
    model = toy_model("encoder_only", num_layers=6, encoder=shared)
    assert model.encoder.depths == [0, 1, 0, 0, 1, 0] and len(model.encoder.layers) == 2
    check(model)


def test_the_shortest_list_of_a_pattern():
    settings = layer_settings({"every 3": {"window": None}}, 7)
    pattern = shortest(settings)
    assert pattern == [{}, {}, {"window": None}] and layer_settings(pattern, 7) == settings
    assert shortest([{}, {}, {"window": 1}]) == [{}, {}, {"window": 1}] and shortest([{}, {}]) is None
