"""Rules: Python expressions over options that a part declares."""

import ast
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from types import CodeType
from typing import Any

from framework.registry.names import nearest
from framework.registry.rule_functions import FUNCTIONS

LONGEST_SHOWN = 60  # characters of a rule that a message repeats


def broken(rules: Mapping[str, str], names: Mapping[str, Any]) -> list[str]:
    """The reasons of the rules that do not hold. A rule is a Python expression over names and their values.

    A rule with a name that is missing from `names` is skipped: in plain Python nobody knows the options of a part's owners or
    `provided`, and in a config nobody knows the arguments that an owner computes. Misspelt names are refused when parts are indexed
    (`framework.config.rules`).
    """
    reasons = []
    for rule, reason in rules.items():
        used = names_in(rule)
        if all(name in names for name in used) and not _holds(rule, names):
            values = ", ".join(f"{name}={names[name]}" for name in used if isinstance(names[name], (int, float, str, bool)))
            known = f"{rule}; here {values}" if len(rule) <= LONGEST_SHOWN else f"here {values}"
            reasons.append(f"{reason} ({known})" if values else reason)
    return reasons


def _holds(rule: str, names: Mapping[str, Any]) -> bool:
    try:
        return bool(eval(_code(rule), {**names, "__builtins__": FUNCTIONS}))  # noqa: S307 - rules come from classes
    except (ArithmeticError, TypeError):  # `dim % num_heads` of no heads; a text for a number where an option may have any type
        return False


@cache
def _code(rule: str) -> CodeType:
    return compile(rule, "<rule>", "eval")


def expressions(rules: Iterable[str], provides: Iterable[str] | Mapping[str, str]) -> list[str]:
    """Every Python expression that a part declares: its rules and the conditions of its traits."""
    return [*rules, *(provides.values() if isinstance(provides, Mapping) else ())]


@cache
def names_in(rule: str) -> tuple[str, ...]:
    """The names whose values a rule needs, in the order of the rule. SyntaxError: the rule is not a Python expression."""
    names = [node for node in ast.walk(ast.parse(rule, mode="eval")) if isinstance(node, ast.Name)]
    bound = {*FUNCTIONS, *(node.id for node in names if isinstance(node.ctx, ast.Store))}
    names.sort(key=lambda node: (node.lineno, node.col_offset))
    return tuple(dict.fromkeys(node.id for node in names if node.id not in bound))


def unknown_name(where: str, rule: str, name: str, own: Iterable[str], possible: Iterable[str]) -> str:
    """The message for a rule with a name that nobody has."""
    near = nearest(name, sorted(possible))
    return f"{where}: the rule {rule!r} uses {name!r}, which neither the part nor a possible owner has{near}; the part has: " + ", ".join(
        sorted(own)
    )


def null_message(where: str, rule: str, option: str) -> str:
    """The message for a rule that cannot be evaluated where an option is null."""
    return f"{where}: the rule {rule!r} compares {option!r}, which may be null; write '{option} is None or {rule}'"


def null_mistake(rule: str, defaults: Mapping[str, Any], nullable: Collection[str]) -> str | None:
    """The option whose null a rule cannot be evaluated with; None if it can. Names without a default stand for numbers, texts or lists."""
    used = names_in(rule)
    for option in (name for name in used if name in nullable):
        about = compile(ast.Expression(_about(ast.parse(rule, mode="eval").body, option)), rule, "eval")
        for stand_in in (8, "text", [8]):
            known = {name: stand_in if defaults.get(name) is None else defaults[name] for name in used}
            try:
                eval(about, {**known, option: None, "__builtins__": FUNCTIONS})  # noqa: S307 - rules come from classes
            except Exception as error:  # a stand-in of the wrong type raises as well, with another message
                if isinstance(error, TypeError) and "NoneType" in str(error):
                    return option
    return None


def _about(node: ast.expr, option: str) -> ast.expr:
    """A condition with `a and b`, `a or b` reduced to the operands that are about an option: the values of others must not hide them."""
    if not isinstance(node, ast.BoolOp):
        return node
    about = [value for value in node.values if any(isinstance(each, ast.Name) and each.id == option for each in ast.walk(value))]
    node.values = [_about(value, option) for value in about or node.values]
    return node if len(node.values) > 1 else node.values[0]
