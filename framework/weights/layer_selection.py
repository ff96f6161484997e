"""Which layers of a model become the layers of a smaller one.

DistilBERT begins with every second layer of BERT: Sanh et al. 2019, section 3, https://arxiv.org/abs/1910.01108; with an encoder-decoder
often the decoder alone is thinned out: Shleifer and Rush 2020, section 3.2, https://arxiv.org/abs/2010.13002
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from framework.errors import UserError

OPTION = "model.init_layers"
Layers = Sequence[int] | Mapping[str, Sequence[int]] | None
_LAYER = re.compile(r"model\.(\w+)\.layers\.(\d+)\.(.+)")
Value = TypeVar("Value")


def select_layers(saved: Mapping[str, Value], layers: Layers, own: Iterable[str], name: str) -> dict[str, Value]:
    """Saved weights under the names that they have in the new model: its layer i is layer layers[i] of the saved one, in every stack
    that both have; with a mapping in the stacks that it names. What is in no such stack keeps its name; layers not named are left out.

    own: the names in the new model. name: what the weights are of. UserError: numbers that the stacks have not got.
    """
    if layers is None:
        return dict(saved)
    here, there = _depths(own), _depths(saved)
    chosen = dict(layers) if isinstance(layers, Mapping) else {stack: layers for stack in here if stack in there}
    for stack, numbers in chosen.items():
        _check(stack, numbers, here, there, name)
    found = {}
    for key, value in saved.items():
        layer = _LAYER.fullmatch(key)
        if layer is None or layer[1] not in chosen:
            found[key] = value
            continue
        stack, number, rest = layer.groups()
        found |= {f"model.{stack}.layers.{place}.{rest}": value for place, taken in enumerate(chosen[stack]) if taken == int(number)}
    return found


def _depths(names: Iterable[str]) -> dict[str, int]:
    """Stack -> its layers."""
    depths: dict[str, int] = {}
    for layer in filter(None, map(_LAYER.fullmatch, names)):
        depths[layer[1]] = max(depths.get(layer[1], 0), int(layer[2]) + 1)
    return depths


def _check(stack: str, numbers: Sequence[int], here: Mapping[str, int], there: Mapping[str, int], name: str) -> None:
    for depths, what in ((here, "this model"), (there, name)):
        if stack not in depths:
            raise UserError(f"{OPTION} names the layers of {stack!r}, and {what} has no such stack; it has: {', '.join(depths) or 'none'}")
    if len(numbers) != here[stack]:
        way = "model.num_decoder_layers" if stack == "decoder" and len(here) > 1 else "model.num_layers"
        raise UserError(
            f"{OPTION} names {len(numbers)} layers, {list(numbers)}, and the {stack} of this model has {here[stack]}; "
            f"{way}={len(numbers)} makes them equal"
        )
    for number in numbers:
        if not 0 <= number < there[stack]:
            raise UserError(f"{OPTION} names layer {number}, and the {stack} of {name} has {there[stack]}: 0 to {there[stack] - 1}")
