"""The parts a published config.json tells of, as a node of a config and as words of a command line."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from framework.config.catalogue import Catalogue
from framework.config.constraints import default_node, explicit
from framework.config.derived_defaults import normalized
from framework.huggingface.family import Parts

Node = dict[str, Any]


def model_node(parts: Parts, catalogue: Catalogue) -> Node:
    """The explicit node of a model made of these parts."""
    node = default_node(f"model/{parts.chosen['']}", catalogue)
    slots = catalogue.option(node["part"])["slots"]
    for slot, name in parts.chosen.items():
        if slot:
            node[slot] = default_node(f"{slots[slot]['kind']}/{name}", catalogue)
    for path, value in parts.values.items():
        *inner, name = path.split(".")
        holder = node
        for slot in inner:
            holder = holder[slot]
        assert name in holder, f"{holder['part']} has no option {name}"
        holder[name] = copy.deepcopy(value)
    return normalized(explicit(node, catalogue))


def words(parts: Parts, catalogue: Catalogue) -> list[str]:
    """Overrides that compose these parts: the preset that says the same where there is one, else every option that is not a default."""
    node = model_node(parts, catalogue)
    if same := [
        name
        for name, preset in catalogue.presets.get("model", {}).items()
        if preset["base"] == parts.chosen[""] and normalized(explicit(preset_node(name, "model", catalogue), catalogue)) == node
    ]:
        return [f"model={next((name for name in same if not _is_alias(name, catalogue)), same[0])}"]
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


def _is_alias(name: str, catalogue: Catalogue) -> bool:
    """Whether a preset of a model is another one under a second name."""
    given = yaml.safe_load(Path(catalogue.presets["model"][name]["file"]).read_text(encoding="utf-8"))
    return set(given) == {"defaults"} and len(given["defaults"]) == 2 and given["defaults"][0] in catalogue.presets["model"]


def preset_node(name: str, kind: str, catalogue: Catalogue) -> Node:
    """The node of a preset, or of a part by itself, before null slots are filled. Presets are values and named options, so a dozen
    lines read them; composing some fifty by Hydra to compare them would take seconds."""
    if name in catalogue.options.get(kind, {}):
        return default_node(f"{kind}/{name}", catalogue)
    given = yaml.safe_load(Path(catalogue.presets[kind][name]["file"]).read_text(encoding="utf-8"))
    base, *chosen = [entry for entry in given.pop("defaults") if entry != "_self_"]
    node = preset_node(base, kind, catalogue)
    slots = catalogue.option(node["part"])["slots"]
    for entry in chosen:
        for key, option in entry.items():
            slot = key.removeprefix("override ")
            node[slot] = preset_node(option, slots[slot]["kind"], catalogue)
    return {**node, **given}
