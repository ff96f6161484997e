"""Checks the rules of all parts when they are indexed: every name in a rule is one that somebody has."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from framework.errors import UserError
from framework.registry.rules import expressions, names_in, null_message, null_mistake, unknown_name

Options = Mapping[str, Mapping[str, Mapping[str, Any]]]


def check_rules(options: Options, top: Iterable[str], parts: Collection[str]) -> None:
    """options: kind -> name -> entry of the index. top: names at the top of every config. parts: `KIND/NAME` of those to check.

    UserError: a rule or the condition of a trait uses a name that is neither the part's nor that of a possible owner, or cannot be
    evaluated where an option is null.
    """
    for kind, entries in options.items():
        mine = {name: entry for name, entry in entries.items() if f"{kind}/{name}" in parts}
        around = {*top, *_owners_names(kind, options, set())} if mine else set()
        for name, entry in mine.items():
            declared, where = entry["declarations"], f"{kind}/{name} ({entry['class']})"
            chosen = {*entry["fields"], *_slot_parts(entry)}
            for rule in declared.get("rules", ()):
                _check(where, rule, {*chosen, *entry["context"], "provided"}, around)
            for condition in expressions((), declared.get("provides", ())):
                _check(where, condition, chosen, around)
            nullable = [name for name, field in entry["fields"].items() if "None" in field.get("type", "")]
            defaults = {name: field.get("default") for name, field in entry["fields"].items()}
            for rule in expressions(declared.get("rules", ()), declared.get("provides", ())):
                if option := null_mistake(rule, defaults, nullable):
                    raise UserError(null_message(where, rule, option))


def _check(where: str, rule: str, own: set[str], around: set[str]) -> None:
    for name in names_in(rule):
        if name not in own and name not in around:
            raise UserError(unknown_name(where, rule, name, own, own | around))


def _owners_names(kind: str, options: Options, seen: set[str]) -> set[str]:
    """The names that the owners of a part of this kind may have, and the owners of those."""
    seen.add(kind)
    names: set[str] = set()
    for owner, entries in options.items():
        for entry in entries.values():
            if any(slot["kind"] == kind for slot in entry["slots"].values()):
                names |= {*entry["fields"], *_slot_parts(entry)}
                if owner not in seen:
                    names |= _owners_names(owner, options, seen)
    return names


def _slot_parts(entry: Mapping[str, Any]) -> set[str]:
    """`SLOT_part`, the name of what is chosen for a slot."""
    return {f"{slot}_part" for slot in entry["slots"]}
