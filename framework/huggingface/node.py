"""Config node and overrides of a published model."""

import copy
from collections.abc import Sequence
from typing import Any

from framework.config.catalogue import Catalogue
from framework.config.derived_defaults import normalized
from framework.config.layers import whole_node
from framework.config.quoting import written
from framework.huggingface.family import Parts

Node = dict[str, Any]


def model_node(parts: Parts, catalogue: Catalogue) -> Node:
    """The explicit config node of a model made of these parts."""
    preset: Node = {}
    for slot, name in parts.slots.items():
        _holder(preset, slot.split("/") if slot else [])["is"] = name
    for path, value in parts.values.items():
        *slots, name = path.split(".")
        _holder(preset, slots)[name] = copy.deepcopy(value)
    return normalized(whole_node(preset, "model", catalogue, "a published config.json"))


def _holder(node: Node, slots: Sequence[str]) -> Node:
    for slot in slots:
        node = node.setdefault(slot, {})
    return node


def model_overrides(parts: Parts, catalogue: Catalogue) -> list[str]:
    """Overrides that compose these parts: the equivalent preset if there is one, else all options that differ from their defaults."""
    node = model_node(parts, catalogue)
    for name in catalogue.presets.get("model", {}):
        if catalogue.base("model", name) == parts.slots[""]:
            if normalized(whole_node(name, "model", catalogue)) == node:
                return [f"model={name}"]
    overrides = [f"model={parts.slots['']}", *(f"model/{slot}={name}" for slot, name in parts.slots.items() if slot)]
    default = model_node(Parts(parts.slots), catalogue)
    for path, value in parts.values.items():
        *slots, name = path.split(".")
        holder, default_holder = node, default
        for slot in slots:
            holder, default_holder = holder[slot], default_holder[slot]
        if holder[name] != default_holder[name]:
            overrides.append(f"model.{path}={value if isinstance(value, str) else written(value)}")
    return overrides


def drop_typed(overrides: Sequence[str], typed: Sequence[str]) -> list[str]:
    """The overrides without options that were typed, and without options of slots for which another part was typed."""
    keys = [word.lstrip("+~").partition("=")[0] for word in typed]
    prefixes = tuple(f"{key.replace('/', '.')}." for key in keys if "/" in key)
    return [word for word in overrides if (key := word.partition("=")[0]) not in keys and not key.startswith(prefixes)]
