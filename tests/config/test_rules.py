"""Rules that name something unknown are refused when parts are indexed."""

import re

import pytest

from framework.config import catalogue as index
from framework.config.rules import check_rules
from framework.errors import UserError
from framework.registry.rules import expressions


def entry(rules=(), provides=(), fields=(), slots=(), context=()):
    return {
        "class": "somewhere.Part",
        "fields": dict.fromkeys(fields, {}),
        "slots": {slot: {"kind": kind} for slot, kind in dict(slots).items()},
        "context": list(context),
        "declarations": {"rules": dict.fromkeys(rules, "reason"), "provides": provides},
    }


def house(**of_the_bed):
    """A house has rooms, a room has a bed and a lamp."""
    return {
        "house": {"wooden": entry(fields=["floors"], slots={"room": "room", "stove": "stove"})},
        "room": {"small": entry(fields=["windows"], slots={"bed": "bed", "lamp": "lamp"}), "large": entry(fields=["doors"])},
        "bed": {"straw": entry(**{"fields": ["length", "width"], "slots": {"pillow": "pillow"}, "context": ["sleepers"], **of_the_bed})},
        "lamp": {"oil": entry(fields=["wick"])},
    }


@pytest.mark.parametrize(
    "rule",
    [
        "length > 0 and max(length, width) < 3",
        "sleepers == 1",  # given by whoever builds it
        "windows > 0",  # of its owner
        "floors == 1",  # of its owner's owner
        "pillow_part != 'wool' and lamp_part != 'oil' and room_part == 'small' and stove_part is None",
        "seed > 0 and data_part != 'files'",  # the top of every config
        "'fire' not in provided",
        "all(each > 0 for each in length)",
    ],
)
def test_what_a_rule_may_name(rule):
    check_rules(house(rules=[rule]), ["seed", "data_part"], ["bed/straw"])


@pytest.mark.parametrize(
    ("rule", "name", "near"),
    [
        ("lenght > 0", "lenght", "length"),
        ("length > 0 and widht > 0", "widht", "width"),  # the second half is never evaluated for a wrong length
        ("wick > 0", "wick", None),  # an option of a part beside it
        ("doors > 0", "doors", "floors"),  # an option of a room without a bed
        ("pilow_part == 'wool'", "pilow_part", "pillow_part"),
        ("'fire' not in providd", "providd", "provided"),
        ("abs(length) > 0", "abs", None),
    ],
)
def test_a_rule_with_an_unknown_name_is_refused(rule, name, near):
    with pytest.raises(UserError) as refused:
        check_rules(house(rules=[rule]), ["seed"], ["bed/straw"])
    said = str(refused.value)
    assert said.startswith(f"bed/straw (somewhere.Part): the rule {rule!r} uses {name!r}") and "length, " in said
    assert (f"did you mean {near!r}" in said) if near else "did you mean" not in said


@pytest.mark.parametrize("condition", ["lenght > 0", "'fire' in provided", "sleepers > 1"])
def test_the_condition_of_a_trait_names_options_alone(condition):
    """Traits are collected before the parts around a part, and the values that its owner computes, are known."""
    with pytest.raises(UserError, match=re.escape(f"the rule {condition!r} uses")):
        check_rules(house(provides={"soft": condition}), [], ["bed/straw"])
    check_rules(house(provides={"soft": "length > 0 and windows > 0"}), [], ["bed/straw"])
    check_rules(house(provides={"soft": condition}), [], [])  # of a part that is not asked about


def nullable(**defaults):
    return {name: {"type": "int | None", "default": default} for name, default in defaults.items()}


@pytest.mark.parametrize(
    ("rule", "option"),
    [
        ("length > 0", "length"),
        ("length is None or length > width", "width"),  # where length has a value
        ("length % 2 == 0", "length"),
        ("windows < length", "length"),  # compared with an option of its owner
        ("max(length, 2) < 3", "length"),
        ("length is None or length > 0", None),
        ("not length or length > 0", None),
        ("(length or windows) > 0", None),
        ("width == 2 or length > 0", "length"),  # true with the default of another option
        ("windows > 0 and (length is None or length < windows)", None),
        ("length == width", None),
        ("'fire' in provided or pillow_part == 'wool'", None),
    ],
)
def test_a_rule_that_compares_with_null_is_refused(rule, option):
    parts = house(rules=[rule])
    parts["bed"]["straw"]["fields"] = nullable(length=None, width=2)
    if option is None:
        check_rules(parts, [], ["bed/straw"])
        return
    with pytest.raises(UserError) as refused:
        check_rules(parts, [], ["bed/straw"])
    said = str(refused.value)
    assert said.startswith("bed/straw (somewhere.Part)") and repr(rule) in said and f"'{option} is None or {rule}'" in said


def test_no_registered_rule_names_a_trait_that_nobody_provides():
    declared = [option["declarations"] for named in index.load().options.values() for option in named.values()]
    traits = {trait for declarations in declared for trait in declarations.get("provides", ())}
    rules = [rule for declarations in declared for rule in expressions(declarations.get("rules", ()), ())]
    named = {trait for rule in rules for trait in re.findall(r"'(\w+)' (?:not )?in provided", rule)}
    assert len(rules) > 100 and named <= traits
