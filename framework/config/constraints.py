"""Checks that the parts of a config fit together, before anything is built and without importing torch.

A part declares `provides` (traits that it adds) and `rules` (a Python expression that must hold -> the reason). A rule may use the
part's own options, options of its owners, `SLOT_part` (the name of what is chosen for a slot) and `provided`: the traits of the parts
around it. Traits do not leave a part that is a `scope_boundary` (a stack of layers), and neither enter nor leave its `excluded_slots`
(cross-attention, which the position of its stack does not affect).
"""

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from framework.config.catalogue import Catalogue
from framework.config.task_data import task_mistakes
from framework.errors import UserError
from framework.registry.layers import layer_settings, misplaced, numbered, with_entries
from framework.registry.rules import broken as broken_rules
from framework.registry.rules import names_in

Node = dict[str, Any]


@dataclass(frozen=True)
class Conflict:
    """A broken rule: the path of the part in the config, the part, the reason, and whether the rule is about other parts."""

    path: str
    part: str
    reason: str
    about_parts: bool


def explicit(node: Node, catalogue: Catalogue, scope: Mapping[str, Any] | None = None) -> Node:
    """The node with a copy of the owner's part in every empty slot that follows an owner's slot."""
    scope = scope or {}
    filled = dict(node)
    slots = catalogue.option(node["part"])["slots"]
    for slot, entry in slots.items():
        if filled.get(slot) is None and entry["follows"] in scope:
            filled[slot] = copy.deepcopy(scope[entry["follows"]])
    chosen = {slot: filled[slot] for slot in slots if filled.get(slot) is not None}
    for slot in slots:
        if is_node(filled.get(slot)):
            inner = {**scope, **{name: part for name, part in chosen.items() if name != slot}}  # the nearest owner comes first
            filled[slot] = explicit(filled[slot], catalogue, inner)
    for name in patterns(catalogue.option(node["part"])):
        filled[name] = with_entries(
            filled.get(name),
            lambda _, setting: {
                key: explicit(value, catalogue, {**scope, **{slot: part for slot, part in chosen.items() if slot != key}})
                if is_node(value)
                else value
                for key, value in setting.items()
            },
        )
    return filled


def patterns(option: Mapping[str, Any]) -> list[str]:
    """The options of a part that are patterns of layers."""
    return [name for name, field in option["fields"].items() if "by_layer" in field["traits"]]


def explicit_config(config: Mapping[str, Any], catalogue: Catalogue) -> Node:
    """A config with all its parts `explicit`."""
    return {key: explicit(value, catalogue) if is_node(value) else value for key, value in config.items()}


def default_node(part: str, catalogue: Catalogue) -> Node:
    """The node of `KIND/NAME` with the defaults of its options and slots."""
    option = catalogue.option(part)
    node: Node = {"part": part, **{name: copy.deepcopy(field["default"]) for name, field in option["fields"].items()}}
    for slot, entry in option["slots"].items():
        chosen = entry["default"] if not entry["follows"] else None
        node[slot] = default_node(f"{entry['kind']}/{chosen}", catalogue) if chosen else None
    return node


def is_node(value: Any) -> bool:
    """Whether a value of a config is a part: `{part: KIND/NAME, ...}`."""
    return isinstance(value, Mapping) and "part" in value


def _holds(value: Any) -> bool:
    """Whether a value is a part, or a mapping of names to parts (callbacks, loggers)."""
    return is_node(value) or isinstance(value, Mapping) and any(is_node(inner) for inner in value.values())


class Tree:
    """A config as a tree of parts. What is computed of it is kept: the config does not change."""

    def __init__(self, path: str, node: Node, catalogue: Catalogue, owner: "Tree | None" = None, slot: str = ""):
        self.path, self.node, self.owner, self.slot, self.catalogue = path, node, owner, slot, catalogue
        self.option = catalogue.option(node["part"]) if "part" in node else {"slots": {}, "fields": {}, "declarations": {}}
        self.declared: dict[str, Any] = self.option["declarations"]
        names = self.option["slots"] if "part" in node else node
        self.children = [Tree(f"{path}.{name}".lstrip("."), node[name], catalogue, self, name) for name in names if _holds(node.get(name))]

    @cached_property
    def values(self) -> dict[str, Any]:
        """The names that a rule may use: the part's own, then those of its owners."""
        own = {name: value for name, value in self.node.items() if not is_node(value)}
        chosen: dict[str, Any] = {f"{slot}_part": None for slot in self.option["slots"]}
        chosen |= {f"{child.slot}_part": child.node["part"].partition("/")[2] for child in self.children if is_node(child.node)}
        return {**(self.owner.values if self.owner else {}), **own, **chosen}

    def below(self) -> Iterator["Tree"]:
        """All parts inside this one."""
        for child in self.children:
            yield child
            yield from child.below()

    @cached_property
    def built(self) -> list["Tree"]:
        """The parts in this one's slots, without those that slots further in follow."""
        followed = {entry["follows"] for tree in self.below() for entry in tree.option["slots"].values()}
        return [child for child in self.children if child.slot not in followed]

    @cached_property
    def traits(self) -> set[str]:
        """The traits that this part itself adds."""
        provides = self.declared.get("provides", ())
        if isinstance(provides, Mapping):
            return {trait for trait, condition in provides.items() if not broken_rules({condition: ""}, self.values)}
        return set(provides)

    @cached_property
    def outward(self) -> set[str]:
        """The traits that this part and the parts inside add to those around it: none if it is a scope boundary."""
        if self.declared.get("scope_boundary"):
            return set()
        return self.traits.union(*(child.outward for child in self.built if child.slot not in self.declared.get("excluded_slots", ())))

    def provided(self) -> set[str]:
        """The traits of this part and of all parts around it."""
        traits = self.traits | self.outward
        tree = self
        while tree.owner is not None:
            owner = tree.owner
            if tree.slot not in owner.declared.get("excluded_slots", ()):
                traits |= owner.traits
                for child in owner.built:
                    if child is not tree and child.slot not in owner.declared.get("excluded_slots", ()):
                        traits |= child.outward
            tree = owner
        return traits

    def conflicts(self) -> Iterator[Conflict]:
        """Every broken rule of this part and of those inside. A stack whose layers differ is checked once for each kind of layer."""
        pattern = next((name for name in patterns(self.option) if self.node.get(name) is not None), None)
        if pattern is None:
            yield from self._broken()
            return
        try:
            layers = self._layers(pattern)
        except UserError as error:
            yield Conflict(self.path, self.node["part"], f"{pattern}: {error}", False)
            return
        found: dict[Conflict, list[int]] = {}
        for numbers, node in layers:
            tree = Tree(self.path, node, self.catalogue, self.owner, self.slot)
            for conflict in (*tree._broken(), *self._misplaced(pattern, node)):
                found.setdefault(conflict, []).extend(numbers)
        everywhere = sum(len(numbers) for numbers, _ in layers)
        for conflict, numbers in found.items():
            where = conflict.path if len(numbers) == everywhere else f"{conflict.path} of {numbered(sorted(numbers))}"
            yield replace(conflict, path=where)

    def _layers(self, pattern: str) -> list[tuple[list[int], Node]]:
        """The layers that differ, each with its numbers, as nodes of a stack without a pattern."""
        depth = self.values.get(f"num_{self.slot}_layers") or self.values.get("num_layers")
        found: list[tuple[list[int], Node]] = []
        for layer, setting in enumerate(layer_settings(self.node[pattern], depth if isinstance(depth, int) and depth > 0 else 1)):
            node = {**self.node, **setting, pattern: None}
            same = next((numbers for numbers, other in found if other == node), None)
            if same is None:
                found.append(([layer], node))
            else:
                same.append(layer)
        return found

    def _misplaced(self, pattern: str, node: Node) -> Iterator[Conflict]:
        """The position of a layer that cannot have one of its own."""
        if node.get("position") != self.node.get("position") and is_node(node.get("position")):
            own, theirs = (
                self.catalogue.option(each["position"]["part"])["declarations"].get("provides", ()) for each in (self.node, node)
            )
            if reason := misplaced(own, theirs):
                yield Conflict(f"{self.path}.position", node["position"]["part"], reason, True)

    def _broken(self) -> Iterator[Conflict]:
        names = {**self.values, "provided": self.provided()}
        for rule, reason in self.declared.get("rules", {}).items():
            about_parts = any(name == "provided" or name.endswith("_part") for name in names_in(rule))
            for broken in broken_rules({rule: reason}, names):
                yield Conflict(self.path, self.node["part"], broken, about_parts)
        for child in self.built:
            yield from child.conflicts()


def conflicts(config: Node, catalogue: Catalogue) -> Iterator[Conflict]:
    """Every broken rule of a composed config."""
    yield from Tree("", explicit_config(config, catalogue), catalogue).conflicts()
    for mistake in task_mistakes(config, catalogue):
        yield Conflict(*mistake)


def report(config: Node, catalogue: Catalogue) -> list[str]:
    """One line for each conflict: paths and reason; then the options that resolve the conflicts between parts, if there are any."""
    broken = list(conflicts(config, catalogue))
    paths: dict[tuple[str, str], list[str]] = {}
    for conflict in broken:
        paths.setdefault((conflict.part, conflict.reason), []).append(conflict.path)
    lines = [f"{', '.join(places)} = {part.partition('/')[2]}: {reason}" for (part, reason), places in paths.items()]
    values = [conflict for conflict in broken if not conflict.about_parts]
    remedies = _remedies(config, catalogue, values) if len(values) < len(broken) else {}
    ways = [f"{slot}={'|'.join(names)}" for slot, names in remedies.items()]
    return lines + ([f"Any one of these resolves it: {', '.join(ways)}"] if ways else [])


def _remedies(config: Node, catalogue: Catalogue, values: list[Conflict]) -> dict[str, list[str]]:
    """Group path -> options that, chosen there alone, leave no conflict but those about values, which another value resolves. Each option
    is tried."""
    remedies: dict[str, list[str]] = {}
    for path, kind, owner, slot in filled_slots(config, catalogue, ("model", "data", "tokenizer", "task")):
        chosen = owner[slot]
        for name in catalogue.options.get(kind, {}):
            if chosen["part"] == f"{kind}/{name}":
                continue
            other = default_node(f"{kind}/{name}", catalogue)
            kept = catalogue.option(f"{kind}/{name}")["fields"].keys() & catalogue.option(chosen["part"])["fields"].keys()
            owner[slot] = {**other, **{key: chosen[key] for key in kept if key in chosen}}  # typed values stay
            if all(conflict in values for conflict in conflicts(config, catalogue)):
                presets = [key for key in catalogue.presets.get(kind, {}) if catalogue.base(kind, key) == name]
                remedies.setdefault(path, []).extend(presets if presets and "/" not in path else [name])
        owner[slot] = chosen
    return remedies


def filled_slots(node: Node, catalogue: Catalogue, names: Iterable[str] = (), path: str = "") -> Iterator[tuple[str, str, Node, str]]:
    """Every slot that is filled: group path, kind, the node that holds it and the slot's name. names: of the slots of a whole config."""
    slots = catalogue.option(node["part"])["slots"] if "part" in node else {name: {"kind": name} for name in names}
    for slot, entry in slots.items():
        if is_node(node.get(slot)):
            inner = f"{path}/{slot}".lstrip("/")
            yield inner, entry["kind"], node, slot
            yield from filled_slots(node[slot], catalogue, (), inner)
