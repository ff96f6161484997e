"""The parts a published config.json tells of, as a node of a config and as words of a command line."""

import copy
import json
from collections.abc import Sequence
from typing import Any

from framework.config.catalogue import Catalogue
from framework.config.constraints import explicit
from framework.config.derived_defaults import normalized
from framework.config.presets import node_of
from framework.huggingface.family import Parts

Node = dict[str, Any]


def model_node(parts: Parts, catalogue: Catalogue) -> Node:
    """The explicit node of a model made of these parts."""
    preset: Node = {"is" if not slot else slot: {"is": name} if slot else name for slot, name in parts.chosen.items()}
    for path, value in parts.values.items():
        *slots, name = path.split(".")
        holder = preset
        for slot in slots:
            holder = holder.setdefault(slot, {})
        holder[name] = copy.deepcopy(value)
    return normalized(explicit(node_of(preset, "model", catalogue, "a published config.json"), catalogue))


def words(parts: Parts, catalogue: Catalogue) -> list[str]:
    """Overrides that compose these parts: the preset that says the same where there is one, else every option that is not a default."""
    node = model_node(parts, catalogue)
    for name in catalogue.presets.get("model", {}):
        if catalogue.base("model", name) == parts.chosen[""]:
            if normalized(explicit(node_of(name, "model", catalogue), catalogue)) == node:
                return [f"model={name}"]
    found = [f"model={parts.chosen['']}", *(f"model/{slot}={name}" for slot, name in parts.chosen.items() if slot)]
    default = model_node(Parts(parts.chosen), catalogue)
    for path, value in parts.values.items():
        *inner, name = path.split(".")
        own, usual = node, default
        for slot in inner:
            own, usual = own[slot], usual[slot]
        if own[name] != usual[name]:
            found.append(f"model.{path}={value if isinstance(value, str) else json.dumps(value)}")
    return found


def without(found: Sequence[str], typed: Sequence[str]) -> list[str]:
    """The words that nothing typed speaks of: a value that was typed, or a value of a part in whose place another was chosen."""
    keys = [word.lstrip("+~").partition("=")[0] for word in typed]
    replaced = [key.replace("/", ".") for key in keys if "/" in key]
    return [
        word for word in found if (key := word.partition("=")[0]) not in keys and not any(key.startswith(f"{slot}.") for slot in replaced)
    ]
