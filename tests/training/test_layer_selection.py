"""Selecting layers for a smaller model, by the names of weights."""

import pytest

from framework.errors import UserError
from framework.weights.layer_selection import select_layers


def model(**depths):
    """Weight name -> value, of stacks with so many layers."""
    weights = {"model.tokens.weight": "tokens", "head.0": "head"}
    for stack, num_layers in depths.items():
        weights[f"model.{stack}.position.table"] = f"{stack} table"
        for number in range(num_layers):
            for rest in ("norm.bias", "attention.layers.0.weight"):
                weights[f"model.{stack}.layers.{number}.{rest}"] = f"{stack} {number} {rest}"
    return weights


def moved(depths, layers, **saved):
    return select_layers(model(**saved), layers, model(**depths), "runs/x")


def test_every_second_layer():
    found = moved({"encoder": 3}, [0, 2, 4], encoder=6)
    expected = model(encoder=3)
    for here, there in ((1, 2), (2, 4)):
        for rest in ("norm.bias", "attention.layers.0.weight"):
            expected[f"model.encoder.layers.{here}.{rest}"] = f"encoder {there} {rest}"
    assert found == expected


def test_null_changes_nothing():
    assert moved({"encoder": 3}, None, encoder=6) == model(encoder=6)


def test_any_order_and_more_than_once():
    found = moved({"decoder": 4}, [1, 1, 0, 0], decoder=2)
    assert [found[f"model.decoder.layers.{n}.norm.bias"] for n in range(4)] == [f"decoder {n} norm.bias" for n in (1, 1, 0, 0)]


def test_a_list_is_for_every_stack_that_both_have():
    found = moved({"encoder": 2, "decoder": 2}, [0, 2], encoder=3, decoder=3)
    assert [found[f"model.{stack}.layers.1.norm.bias"] for stack in ("encoder", "decoder")] == [
        "encoder 2 norm.bias",
        "decoder 2 norm.bias",
    ]
    found = moved({"encoder": 2, "decoder": 5}, [0, 2], encoder=3)
    assert "model.encoder.layers.2.norm.bias" not in found and found["model.encoder.layers.1.norm.bias"] == "encoder 2 norm.bias"


def test_a_mapping_is_for_the_stacks_that_it_names():
    found = moved({"encoder": 3, "decoder": 1}, {"decoder": [2]}, encoder=3, decoder=3)
    assert found["model.decoder.layers.0.norm.bias"] == "decoder 2 norm.bias" and "model.decoder.layers.1.norm.bias" not in found
    assert found["model.encoder.layers.1.norm.bias"] == "encoder 1 norm.bias"


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([0, 2], "model.init_layers names 2 layers, [0, 2], and the encoder of this model has 3; model.num_layers=2 makes them equal"),
        ([0, 2, 6], "model.init_layers names layer 6, and the encoder of runs/x has 6: 0 to 5"),
        ([-1, 0, 1], "model.init_layers names layer -1, and the encoder of runs/x has 6: 0 to 5"),
        ({"decoder": [0]}, "model.init_layers names the layers of 'decoder', and this model has no such stack; it has: encoder"),
    ],
)
def test_numbers_that_are_not_there(layers, said):
    with pytest.raises(UserError) as error:
        moved({"encoder": 3}, layers, encoder=6)
    assert str(error.value) == said


def test_each_depth_of_two_stacks_has_its_name():
    with pytest.raises(UserError, match=r"the decoder of this model has 3; model.num_decoder_layers=2"):
        moved({"encoder": 2, "decoder": 3}, [0, 1], encoder=2, decoder=4)
    with pytest.raises(UserError, match=r"'decoder', and runs/x has no such stack; it has: encoder"):
        moved({"encoder": 2, "decoder": 1}, {"decoder": [0]}, encoder=2)
