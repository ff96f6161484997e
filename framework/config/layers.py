"""Patterns of layers in a config: names and values become config nodes, and each layer is checked as a stack of its own.

The grammar is that of `framework.registry.layers`.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from framework.config.catalogue import Catalogue
from framework.config.constraints import Node, explicit, is_node, patterns
from framework.config.hydra_source import key_of
from framework.config.presets import merged, node_of
from framework.errors import UserError
from framework.registry.layers import SLOTS, with_entries


def whole_node(choice: str | Mapping[str, Any], kind: str, catalogue: Catalogue, file: str = "") -> Node:
    """The explicit node of an option, a preset, or a mapping with `is`: every slot filled, every pattern of layers of whole nodes."""
    return explicit(with_layers({kind: node_of(choice, kind, catalogue, file)}, catalogue)[kind], catalogue)


def with_layers(config: Mapping[str, Any], catalogue: Catalogue, typed: Sequence[str] = ()) -> dict[str, Any]:
    """The config with the patterns of its stacks made explicit: each entry holds whole nodes. UserError: an entry cannot be read.

    typed: overrides of the command line. A part that one chooses for a stack or its model is that of every layer, unless one sets the
    pattern as well.
    """
    keys = [key_of(word) for word in typed]
    return {
        key: _stacks(value, key, catalogue, keys, {}) if is_node(value) and value["part"].partition("/")[2] else value
        for key, value in config.items()
    }


def _stacks(node: Node, path: str, catalogue: Catalogue, keys: Sequence[str], around: Mapping[str, Any]) -> Node:
    kind, _, name = str(node["part"]).partition("/")
    option = catalogue.options.get(kind, {}).get(catalogue.canonical(kind, name))
    if option is None:
        return node  # said by `validate.problems`
    result = dict(node)
    chosen = {**around, **{slot: node[slot] for slot in option["slots"] if is_node(node.get(slot))}}
    for slot in option["slots"]:
        if is_node(node.get(slot)):
            result[slot] = _stacks(node[slot], f"{path}.{slot}", catalogue, keys, chosen)
    for name in patterns(option):
        place = f"{path}.{name}"
        if not isinstance(node.get(name), (list, Mapping)):
            continue
        own = {slot: node.get(slot) or around.get(entry["follows"]) for slot, entry in option["slots"].items()}
        kinds = {slot: entry["kind"] for slot, entry in option["slots"].items() if slot in SLOTS}
        typed = set() if any(f"{key}.".startswith(f"{place}.") for key in keys) else _typed(node, path, keys, option)

        try:
            result[name] = with_entries(node[name], partial(_entry, place, typed, kinds, own, catalogue))
        except UserError as error:
            raise error if place in str(error) else UserError(f"{place}: {error}") from None
    return result


def _entry(
    place: str,
    typed: Collection[str],
    kinds: Mapping[str, str],
    own: Node,
    catalogue: Catalogue,
    number: str,
    setting: Mapping[str, Any],
) -> Node:
    """An entry of the pattern at `place`, with whole nodes and without the slots that were typed."""
    return {
        key: _node(f"{place}.{number}.{key}", value, key, kinds, own, catalogue) if key in SLOTS else value
        for key, value in setting.items()
        if key not in typed
    }


def _typed(node: Node, path: str, keys: Sequence[str], option: Mapping[str, Any]) -> set[str]:
    """The slots for which the command line chooses a part of every layer."""
    group = path.replace(".", "/")
    owner = group.rpartition("/")[0]
    follow = {slot: entry["follows"] for slot, entry in option["slots"].items() if node.get(slot) is None}
    return {slot for slot in option["slots"] if f"{group}/{slot}" in keys or f"{owner}/{follow.get(slot)}" in keys}


def _node(place: str, value: Any, slot: str, kinds: Mapping[str, str], own: Node, catalogue: Catalogue) -> Node:
    """The node of a slot of a layer: of a name, of `{is: NAME, ...values}`, or the stack's own with other values."""
    if slot not in kinds:
        raise UserError(f"{place}: this stack has no slot {slot}; it has: {', '.join(kinds)}")
    if is_node(value):
        return dict(value)
    if isinstance(value, str):
        value = {"is": value}
    if not isinstance(value, Mapping):
        raise UserError(f"{place}: {value!r} is no {kinds[slot]}; write NAME, {{is: NAME, ...options}}, or {{OPTION: value}}")
    if "is" not in value:
        return merged(own[slot], value) if is_node(own.get(slot)) else {}
    if not isinstance(value["is"], str) or value["is"] not in catalogue.names(kinds[slot]):
        raise UserError(f"{place}: {catalogue.absent(kinds[slot], str(value['is']))}")
    return node_of(value, kinds[slot], catalogue, place, place)
