"""Validates a composed config against the catalogue: every key is known, none is missing, every value has its type."""

import ast
import math
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from framework import registry
from framework.config.catalogue import FILES, GROUPS, NAMED, TOP, Catalogue
from framework.config.other_words import meant
from framework.errors import UserError
from framework.registry.layers import as_setting

# Computing that defaults chosen from the training rows may cost, relative to the usual; None: none are chosen.
EFFORTS: dict[str, float | None] = {"small": 0.33, "standard": 1.0, "large": 4.0, "fixed": None}
NO_RUN = "resume: write resume=RUN for a run folder, resume=auto name=NAME, or leave it out"
NAME_BYTES = 200  # of a run: file systems allow 255, and a date follows
_TYPES: dict[str, Any] = {"int": int, "float": (int, float), "str": str, "bool": bool}


def problems(config: Mapping[str, Any], catalogue: Catalogue) -> Iterator[str]:
    """One line for each mistake."""
    groups = [group for group in GROUPS if group not in FILES]
    for key, value in config.items():
        if key in TOP:
            yield from _value(key, value, TOP[key])
            yield from _top_value(key, value)
        elif key in NAMED:
            if value is not None and not isinstance(value, Mapping):
                yield f"{key}: {value!r} is no mapping of names to parts"
                continue
            for name, node in (value or {}).items():
                yield from _node(f"{key}.{name}", node, NAMED[key], catalogue)
        elif key in groups:
            yield from _node(key, value, key, catalogue)
        else:
            near = f"; write {way}" if (way := meant(key, (), str(value))) else registry.nearest(key, [*TOP, *groups])
            yield f"{key}: there is no such key{near}; there are: {', '.join([*TOP, *groups])}"
    for key in (*TOP, *groups):
        if key not in config:
            yield from [f"{key}: is required and was removed"] if key in (*TOP, *NAMED) else _node(key, None, key, catalogue)


def _top_value(key: str, value: Any) -> Iterator[str]:
    """Problems of a value at the top of the config, beyond its type."""
    if key == "seed" and isinstance(value, int) and not 0 <= value < 2**32:
        yield f"seed: {value} must be in 0 to {2**32 - 1}"
    if key == "resume" and value == "":
        yield NO_RUN
    if key == "name" and isinstance(value, str) and value:
        if re.search("[/\\\\\x00-\x1f\x7f-\x9f\ud800-\udfff]", value) or not value.strip(". "):
            yield f"name: {value!r} cannot be the name of a folder: leave out slashes and line breaks, and use more than dots"
        elif (size := len(value.encode())) > NAME_BYTES:
            yield f"name: {value[:20]}... has {size} bytes, which is too long for the name of a folder with a date; at most {NAME_BYTES}"
    if key == "effort" and isinstance(value, str) and value not in EFFORTS:
        yield f"effort: there is no {value!r}{registry.nearest(value, EFFORTS)}; there are: {', '.join(EFFORTS)}"
    if key == "runs" and isinstance(value, str) and (not value.strip() or "\0" in value):
        yield f"runs: {value!r} is no folder; runs=DIR"


def _node(path: str, node: Any, kind: str, catalogue: Catalogue) -> Iterator[str]:
    if not isinstance(node, Mapping) or "part" not in node:
        group = path.replace(".", "/")
        yield f"{path}: choose one, {group}={'|'.join(catalogue.names(kind))}; it is {node!r}"
        return
    if not isinstance(node["part"], str) or not node["part"].startswith(f"{kind}/"):
        ways = f"{path.replace('.', '/')}={'|'.join(catalogue.names(kind))}"
        yield f"{path}.part: {node['part']!r} is not a part of kind {kind}; choose with {ways}"
        return
    option = catalogue.option(node["part"])
    known = [*option["fields"], *option["slots"]]
    for key, value in node.items():
        if key in option["fields"]:
            yield from _value(f"{path}.{key}", value, option["fields"][key]["type"])
            if value == "" and "None" in option["fields"][key]["type"] and "empty" not in option["fields"][key]["traits"]:
                yield f"{path}.{key}: the text is empty; null = none"
            if "by_layer" in option["fields"][key]["traits"]:
                yield from _layers(f"{path}.{key}", value, option, catalogue)
        elif key in option["slots"]:
            entry = option["slots"][key]
            if value is not None or not (entry["follows"] or entry["default"] is None):
                yield from _node(f"{path}.{key}", value, entry["kind"], catalogue)
        elif key != "part":
            near = f"; write {way}" if (way := meant(f"{path}.{key}", (), str(value))) else registry.nearest(key, known)
            yield f"{path}.{key}: {node['part']} has no such option{near}; it has: {', '.join(known) or 'none'}"
    for key in known:
        if key not in node:
            yield f"{path}.{key}: is required and was removed"


def _layers(path: str, pattern: Any, option: Mapping[str, Any], catalogue: Catalogue) -> Iterator[str]:
    """Problems of a pattern of layers, whose entries hold whole nodes."""
    listed = pattern if isinstance(pattern, (list, tuple)) else ()
    for number, entry in pattern.items() if isinstance(pattern, Mapping) else enumerate(listed):
        try:
            setting = as_setting(entry)
        except UserError as error:
            yield f"{path}: {error}"
            continue
        for key, value in setting.items():
            if key in option["slots"]:
                yield from _node(f"{path}.{number}.{key}", value, option["slots"][key]["kind"], catalogue)
            else:
                yield from _value(f"{path}.{number}.{key}", value, option["fields"][key]["type"])


def _value(path: str, value: Any, type_name: str) -> Iterator[str]:
    if not fits(value, type_name):
        yield f"{path}: {value!r} is not of type {type_name}"
    elif numbers := [number for number in _numbers(value) if not _is_usable(number)]:
        yield f"{path}: {numbers[0]} is no number that can be computed with: it must be finite, and an integer below 2**63"


def _numbers(value: Any) -> Iterator[float]:
    """The numbers in a value of a config."""
    if isinstance(value, (int, float)):
        yield value
    elif isinstance(value, (Mapping, list, tuple)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _numbers(item)


def _is_usable(number: float) -> bool:
    return -(2**63) <= number < 2**63 if isinstance(number, int) else math.isfinite(number)


def fits(value: Any, type_name: str) -> bool:
    """Whether a value has a type of the catalogue: `int | None`, `Literal['a', 'b']`, `list[int]`, ..."""
    return _fits(value, _type(type_name))


@cache
def _type(name: str) -> ast.expr:
    return ast.parse(name, mode="eval").body


def _fits(value: Any, kind: ast.expr) -> bool:
    if isinstance(kind, ast.BinOp):
        return _fits(value, kind.left) or _fits(value, kind.right)
    if isinstance(kind, ast.Constant):
        return value is None
    if isinstance(kind, ast.Subscript):
        assert isinstance(kind.value, ast.Name)
        inner = kind.slice.elts if isinstance(kind.slice, ast.Tuple) else [kind.slice]
        if kind.value.id == "Literal":
            return any(isinstance(item, ast.Constant) and item.value == value for item in inner)
        if kind.value.id == "list":
            return isinstance(value, (list, tuple)) and all(_fits(item, inner[0]) for item in value)
        return isinstance(value, Mapping) and all(_fits(item, inner[1]) for item in value.values())
    assert isinstance(kind, ast.Name)
    if isinstance(value, bool) and kind.id in ("int", "float"):
        return False
    return isinstance(value, _TYPES.get(kind.id, object))
