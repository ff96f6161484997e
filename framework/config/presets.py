"""The grammar of presets, recipes and experiments: values stand below the slot they belong to, in the file that chooses its option.

    attention: {is: multi_head, num_kv_heads: 8}    an option of a slot (or a preset of one) with values
    norm: rms                                       an option as it is
    trainer: {max_epochs: 6}                        values of whatever is chosen there
    callbacks: {mine: {is: finite}}                 a callback or a tracker more, under a name of its own

A preset of a model is such a mapping in a file of its own, with `is` at its top; in a recipe or an experiment the slots are the groups.
Values beside `is` belong to that choice: another option for the slot takes them away.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from framework import registry
from framework.config.catalogue import FILES, GROUPS, NAMED, TOP, Catalogue
from framework.config.constraints import Node, default_node, filled_slots, is_node
from framework.config.other_words import meant
from framework.errors import UserError


@dataclass
class Preset:
    """A parsed mapping. base: the option that `is` names at its top; null: none. choices: path of a slot -> an option, or null for an
    empty slot. values: the rest, with those of a choice below its slot."""

    base: str | None
    choices: dict[str, str | None] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


def parse(
    content: Mapping[str, Any], kind: str, catalogue: Catalogue, file: str, free: Callable[[str], bool] = lambda slot: True, path: str = ""
) -> Preset:
    """Parses the mapping at a path of a file, for a slot of a kind. free(path): whether this file may choose for a slot; if another
    choice comes first, its values are left out. UserError: an option or a key that does not exist, with file and path."""
    base = content.get("is")
    base = catalogue.canonical(kind, base) if isinstance(base, str) else base
    slots, fields = _known(kind, base, catalogue, f"{file}: {'.'.join(filter(None, (path.replace('/', '.'), 'is')))}")
    preset = Preset(base)
    for key, value in content.items():
        inner = f"{path}/{key}".lstrip("/")
        if key in ("is", "defaults"):
            continue
        if fields is not None and key not in slots and key not in fields:
            near, known = registry.nearest(key, [*fields, *slots]), ", ".join([*fields, *slots])
            if not near and (way := meant(inner, (), str(value))):
                near = f"; it is {way} here"
            raise UserError(f"{file}: {inner.replace('/', '.')}: there is no such key{near}; there are: {known}")
        if key not in slots or not isinstance(value, Mapping | str | None):
            preset.values[key] = value
            continue
        below = {"is": value} if isinstance(value, str) else value or {}
        chooses = value is None or "is" in below
        taken = chooses and not free(inner)
        parsed = parse(below, slots[key], catalogue, file, (lambda slot: False) if taken else free, inner)
        if taken:
            continue
        preset.choices |= {inner: parsed.base} if chooses else {}
        preset.choices |= parsed.choices
        preset.values |= {key: parsed.values} if parsed.values else {}
    return preset


def _known(kind: str, base: Any, catalogue: Catalogue, place: str) -> tuple[dict[str, str], list[str] | None]:
    """Slots of a mapping with their kinds, and its fields (null: any key): those of the option that it starts from, or of all options of
    the kind. UserError: there is no such option."""
    if base is not None and base not in catalogue.names(kind):
        raise UserError(f"{place}: {catalogue.absent(kind, str(base), f'{kind} {base!r}')}")
    if kind.partition("/")[0] in FILES:
        return {group: group for group in GROUPS if group not in ("experiment", "debug")}, [*TOP, "hydra"]
    if kind in NAMED:
        return {}, None
    options = catalogue.options.get(kind, {})
    among = [options[part]] if base and (part := catalogue.base(kind, base)) else list(options.values())
    slots = {slot: entry["kind"] for option in among for slot, entry in option["slots"].items()}
    return slots, list(dict.fromkeys(name for option in among for name in option["fields"]))


def node_of(
    choice: str | Mapping[str, Any],
    kind: str,
    catalogue: Catalogue,
    file: str = "",
    path: str = "",
    chosen: dict[str, str] | None = None,
) -> Node:
    """The node of an option, a preset, or a mapping with `is`, with null for slots that follow their owner's: what Hydra composes where
    nothing is overridden, in a hundredth of the time. chosen: gets the option or preset of each filled slot, by its path below `path`."""
    chosen = {} if chosen is None else chosen
    if isinstance(choice, str):
        choice = catalogue.canonical(kind, choice)
        chosen.setdefault(path, choice)
        if choice in catalogue.options.get(kind, {}):
            node = default_node(f"{kind}/{choice}", catalogue)
            for inner, _, holder, slot in filled_slots(node, catalogue, path=path):
                chosen[inner] = holder[slot]["part"].partition("/")[2]
            return node
        file = catalogue.presets[kind][choice]["file"]
        choice = content_of(file)
    preset = parse(choice, kind, catalogue, file)
    assert preset.base is not None, f"{file} starts from no option"
    node = node_of(preset.base, kind, catalogue, path=path, chosen=chosen)
    for place, name in preset.choices.items():
        *above, slot = place.split("/")
        holder = node
        for owner in above:
            holder = holder[owner]
        inner = f"{path}/{place}".lstrip("/")
        for below in [key for key in chosen if f"{key}/".startswith(f"{inner}/")]:
            del chosen[below]
        slot_kind = catalogue.option(holder["part"])["slots"][slot]["kind"]
        holder[slot] = name and node_of(name, slot_kind, catalogue, path=inner, chosen=chosen)
    return merged(node, preset.values)


def content_of(file: str | Path) -> dict[str, Any]:
    """The content of a YAML file."""
    return copy.deepcopy(_parsed(Path(file).read_text(encoding="utf-8")))


@cache
def _parsed(text: str) -> dict[str, Any]:
    content = OmegaConf.to_container(OmegaConf.create(text))
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def with_named_nodes(config: Mapping[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """The config with the nodes of callbacks and trackers that are written `NAME: {is: OPTION, ...values}`. UserError: there is no such
    option or value, or a name that neither the config nor an `is` explains."""
    grown = dict(config)
    for group, kind in NAMED.items():
        if isinstance(nodes := config.get(group), Mapping):
            grown[group] = {name: _named(f"{group}.{name}", node, kind, nodes, catalogue) for name, node in nodes.items()}
    return grown


def _named(path: str, node: Any, kind: str, beside: Mapping[str, Any], catalogue: Catalogue) -> Any:
    if is_node(node) or not isinstance(node, Mapping | str):
        if isinstance(node, Mapping) and "is" in node:
            raise UserError(f"{path} is there already, as {node['part']}; give the new {kind} another name, or set its options alone")
        return node
    if isinstance(node, Mapping) and "is" not in node:
        present = [name for name, other in beside.items() if is_node(other)]
        near = registry.nearest(path.rpartition(".")[2], present)
        raise UserError(f"{path}: there is no such {kind}{near}; there are: {', '.join(present)}. A new one: {path}={{is: NAME}}")
    choice = {"is": node} if isinstance(node, str) else dict(node)
    try:
        return node_of(choice, kind, catalogue, path)
    except UserError as error:
        raise UserError(str(error).replace(f"{path}: is: ", f"{path}: ")) from None


def merged(node: Mapping[str, Any], values: Mapping[str, Any]) -> Node:
    """A node with other values, at any depth."""
    return {**node, **{key: merged(node[key], value) if isinstance(node.get(key), dict) else value for key, value in values.items()}}


def chosen_over(content: Mapping[str, Any], values: Mapping[str, Any]) -> Node:
    """A mapping of a file with other choices and values in the place of its own. Another option takes the values of the first away."""
    result = dict(content)
    for key, value in values.items():
        below = result.get(key)
        if isinstance(below, str) and isinstance(value, Mapping):
            below = {"is": below}
        same = isinstance(value, Mapping) and isinstance(below, Mapping) and value.get("is", below.get("is")) == below.get("is")
        result[key] = chosen_over(below, value) if same and isinstance(below, Mapping) else value
    return result


def divided(content: Mapping[str, Any]) -> tuple[Node, Node]:
    """The slots of a mapping for which it chooses an option (those with `is`), and all other values."""
    bound: Node = {}
    free: Node = {}
    for key, value in content.items():
        if not isinstance(value, Mapping):
            free[key] = value
        elif "is" in value:
            bound[key] = dict(value)
        else:
            inner_bound, inner_free = divided(value)
            bound |= {key: inner_bound} if inner_bound else {}
            free |= {key: inner_free} if inner_free else {}
    return bound, free
