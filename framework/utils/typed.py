"""Types of the fields of a file that somebody else may have written: each is checked before it is used."""

import math
import reprlib
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

from framework.errors import UserError

LARGEST = 2**63 - 1  # an integer of a file; a larger one is no size, id or count, and overflows in the libraries
_NAMES = {int: "an integer", float: "a number", str: "a text", bool: "true or false", types.NoneType: "null", Any: "a value"}
_shown = reprlib.Repr()
_shown.maxstring = _shown.maxother = 80
_shown.maxlong = 40


def check_fields(table: Mapping[str, Any], types: Mapping[str, Any], where: object) -> None:
    """Checks the fields that a file has; those that `types` does not name may be anything.

    types: field -> type: `int`, `float`, `str`, `bool`, `list[T]`, `tuple[T, ...]`, `dict[str, T]`, `Literal`, unions of them, `Any`.
    where: the file. UserError: the first field of another type, with what it is and what it must be.
    """
    for key, type in types.items():
        if key in table and not fits(table[key], type):
            raise UserError(f"{where}: {key} is {shown(table[key])} and must be {name_of(type)}")


def require(table: Mapping[str, Any], keys: Mapping[str, Any], where: object) -> None:
    """UserError: the file lacks a field, or has one of another type. keys: see `check_fields`."""
    for key in keys:
        if key not in table:
            raise UserError(f"{where} is not complete: it has no {key}, which must be {name_of(keys[key])}")
    check_fields(table, keys, where)


def fits(value: Any, type: Any) -> bool:
    """Whether a value of JSON or YAML is of a type. A number is finite, and an integer at most `LARGEST`."""
    if type is Any:
        return True
    origin, arguments = get_origin(type), get_args(type)
    if origin in (Union, types.UnionType):
        return any(fits(value, one) for one in arguments)
    if origin is Literal:
        return any(value == one and isinstance(value, one.__class__) for one in arguments)
    if origin in (list, tuple):
        return isinstance(value, (list, tuple)) and all(fits(each, arguments[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(key, arguments[0]) and fits(each, arguments[1]) for key, each in value.items())
    if type in (int, float):
        whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST
        return whole or (type is float and isinstance(value, float) and math.isfinite(value))
    return isinstance(value, type)


def shown(value: Any) -> str:
    """A value of a file in a message, cut where it is long."""
    if isinstance(value, int) and abs(value) > LARGEST:
        return f"an integer of {value.bit_length():,} bits"
    return _shown.repr(value)


def name_of(type: Any) -> str:
    """A type in a message: `a list of integers`, `a text or null`."""
    origin, arguments = get_origin(type), get_args(type)
    if origin in (Union, types.UnionType):
        return " or ".join(map(name_of, arguments))
    if origin is Literal:
        return f"one of {', '.join(map(repr, arguments))}"
    if origin in (list, tuple):
        return f"a list, each entry {name_of(arguments[0])}"
    if origin is dict:
        return "an object" if arguments[1] is Any else f"an object, each value {name_of(arguments[1])}"
    return _NAMES.get(type) or ("an object" if type is dict else "a list" if type is list else type.__name__)
