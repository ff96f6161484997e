"""The parts of each layer of a stack whose layers differ."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from framework.errors import UserError
from framework.registry import Part, as_part, describe
from framework.registry.layers import Pattern, layer_settings, misplaced


@dataclass(frozen=True)
class LayerParts:
    """slots: the parts of a layer, with its norm and its position. window: of its self-attention."""

    slots: Mapping[str, Part]
    window: int | None

    @property
    def weights(self) -> str:
        """The description of the layer's modules; layers with equal descriptions can share their weights."""
        return repr({slot: part for slot, part in self.slots.items() if slot != "position"})


def parts_by_layer(pattern: Pattern, num_layers: int, slots: Mapping[str, Part], window: int | None) -> list[LayerParts]:
    """The parts of each layer. slots: those of the stack. UserError: see `layer_settings`; a slot that the stack does not have; a position
    of a layer that is added to the embeddings.

    A value of a slot is a Part, a config node, a name, `{is: NAME, ...options}`, or options of the stack's own part.
    """
    found = []
    for layer, setting in enumerate(layer_settings(pattern, num_layers)):
        own = dict(slots)
        for slot in [key for key in setting if key != "window"]:
            if slot not in slots:
                raise UserError(f"layer {layer} has a {slot}, which this stack does not have; it has: {', '.join(slots)}")
            own[slot] = _part(slot, setting[slot], slots[slot])
        theirs, ours = own["position"], slots["position"]
        if repr(theirs) != repr(ours) and (reason := misplaced(_traits(ours), _traits(theirs))):
            raise UserError(f"layer {layer} has {describe(theirs.cls)}: {reason}")
        found.append(LayerParts(own, setting.get("window", window)))
    return found


def _part(slot: str, value: Any, own: Part) -> Part:
    kind = "attention" if slot == "cross" else slot
    if isinstance(value, str):
        return Part(f"{kind}/{value}")
    if isinstance(value, Mapping) and "part" not in value:
        options = {key: item for key, item in value.items() if key != "is"}
        return Part(f"{kind}/{value['is']}", **options) if "is" in value else Part(own.target, **{**own.values, **options})
    part: Part = as_part(value)
    return part


def _traits(position: Part) -> Sequence[str]:
    return tuple(getattr(position.cls, "provides", ()))


def distinct(values: Sequence[Hashable]) -> list[int]:
    """The number of each value, in the order of their first appearance: equal values have equal numbers.

    >>> distinct(["a", "b", "a"])
    [0, 1, 0]
    """
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(value, len(numbers)) for value in values]
