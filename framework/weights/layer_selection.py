"""Selecting layers of a pretrained model as the layers of a smaller one.

DistilBERT is initialized with every second layer of BERT: Sanh et al. 2019, section 3, https://arxiv.org/abs/1910.01108. Of an
encoder-decoder, layers of the decoder alone may be removed: Shleifer and Rush 2020, section 3.2, https://arxiv.org/abs/2010.13002
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from framework.errors import UserError

OPTION = "model.init_layers"
Layers = Sequence[int] | Mapping[str, Sequence[int]] | None
_LAYER = re.compile(r"model\.(\w+)\.layers\.(\d+)\.(.+)")
Value = TypeVar("Value")


def select_layers(saved: Mapping[str, Value], layers: Layers, expected: Iterable[str], source: str) -> dict[str, Value]:
    """Saved weights under their names in the new model, whose layer i is layer layers[i] of the saved one.

    layers: for every stack that both models have, or a mapping from stacks to layers. Weights outside these stacks keep their names; layers
    that are not selected are left out. expected: names of the weights of the new model. source: name of the saved model, for messages.
    UserError: a stack or layer that a model does not have.
    """
    if layers is None:
        return dict(saved)
    new_depths, saved_depths = _depths(expected), _depths(saved)
    selected = dict(layers) if isinstance(layers, Mapping) else {stack: layers for stack in new_depths if stack in saved_depths}
    for stack, numbers in selected.items():
        _check(stack, numbers, new_depths, saved_depths, source)
    weights = {}
    for name, value in saved.items():
        layer = _LAYER.fullmatch(name)
        if layer is None or layer[1] not in selected:
            weights[name] = value
            continue
        stack, number, rest = layer.groups()
        weights |= {f"model.{stack}.layers.{new}.{rest}": value for new, old in enumerate(selected[stack]) if old == int(number)}
    return weights


def _depths(names: Iterable[str]) -> dict[str, int]:
    """Stack -> number of its layers."""
    depths: dict[str, int] = {}
    for layer in filter(None, map(_LAYER.fullmatch, names)):
        depths[layer[1]] = max(depths.get(layer[1], 0), int(layer[2]) + 1)
    return depths


def _check(stack: str, numbers: Sequence[int], new_depths: Mapping[str, int], saved_depths: Mapping[str, int], source: str) -> None:
    for depths, model in ((new_depths, "this model"), (saved_depths, source)):
        if stack not in depths:
            raise UserError(f"{OPTION} names the layers of {stack!r}, and {model} has no such stack; it has: {', '.join(depths) or 'none'}")
    if len(numbers) != new_depths[stack]:
        way = "model.num_decoder_layers" if stack == "decoder" and len(new_depths) > 1 else "model.num_layers"
        raise UserError(
            f"{OPTION} names {len(numbers)} layers, {list(numbers)}, and the {stack} of this model has {new_depths[stack]}; "
            f"{way}={len(numbers)} makes them equal"
        )
    for number in numbers:
        if not 0 <= number < saved_depths[stack]:
            last = saved_depths[stack] - 1
            raise UserError(f"{OPTION} names layer {number}, and the {stack} of {source} has {saved_depths[stack]}: 0 to {last}")
