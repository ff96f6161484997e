"""Rules: Python expressions over options that a part declares."""

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

_FUNCTIONS = {"all": all, "any": any, "len": len, "max": max, "min": min}  # the functions that a rule may call


def broken(rules: Mapping[str, str], names: Mapping[str, Any]) -> list[str]:
    """The reasons of the rules that do not hold. A rule is a Python expression over names and their values.

    A rule with a name that is missing from `names` is skipped: in plain Python nobody knows the options of a part's owners or
    `provided`, and in a config nobody knows the arguments that an owner computes. Misspelt names are refused when parts are indexed
    (`framework.config.rules`).
    """
    reasons = []
    for rule, reason in rules.items():
        used = names_in(rule)
        if all(name in names for name in used) and not eval(rule, {**names, "__builtins__": _FUNCTIONS}):  # noqa: S307 - rules come from classes
            values = ", ".join(f"{name}={names[name]}" for name in used if isinstance(names[name], (int, float, str, bool)))
            reasons.append(f"{reason} ({rule}; here {values})" if values else reason)
    return reasons


def expressions(rules: Iterable[str], provides: Iterable[str] | Mapping[str, str]) -> list[str]:
    """Every Python expression that a part declares: its rules and the conditions of its traits."""
    return [*rules, *(provides.values() if isinstance(provides, Mapping) else ())]


@cache
def names_in(rule: str) -> tuple[str, ...]:
    """The names whose values a rule needs, in the order of the rule. SyntaxError: the rule is not a Python expression."""
    names = [node for node in ast.walk(ast.parse(rule, mode="eval")) if isinstance(node, ast.Name)]
    bound = {*_FUNCTIONS, *(node.id for node in names if isinstance(node.ctx, ast.Store))}
    names.sort(key=lambda node: (node.lineno, node.col_offset))
    return tuple(dict.fromkeys(node.id for node in names if node.id not in bound))
