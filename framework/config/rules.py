"""Checks the rules of all parts when they are indexed: every name in a rule is one that somebody has."""

from collections.abc import Iterable, Mapping
from typing import Any

from framework import registry
from framework.errors import UserError

Options = Mapping[str, Mapping[str, Mapping[str, Any]]]


def check_rules(options: Options, top: Iterable[str]) -> None:
    """options: kind -> name -> entry of the index. top: names at the top of every config.

    UserError: a rule or the condition of a trait uses a name that is neither the part's nor that of a possible owner.
    """
    for kind, entries in options.items():
        around = {*top, *_owners_names(kind, options, set())}
        for name, entry in entries.items():
            declared = entry["declarations"]
            chosen = {*entry["fields"], *_slot_parts(entry)}
            for rule in declared.get("rules", ()):
                _check(f"{kind}/{name} ({entry['class']})", rule, {*chosen, *entry["context"], "provided"}, around)
            for condition in registry.expressions((), declared.get("provides", ())):
                _check(f"{kind}/{name} ({entry['class']})", condition, chosen, around)


def _check(part: str, rule: str, own: set[str], around: set[str]) -> None:
    for name in registry.names_in(rule):
        if name not in own and name not in around:
            raise UserError(
                f"{part}: the rule {rule!r} uses {name!r}, which neither the part nor a possible owner has"
                f"{registry.nearest(name, sorted(own | around))}; the part has: {', '.join(sorted(own))}"
            )


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
