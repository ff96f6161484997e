"""A split with options of its own: data.test={path: reviews.jsonl, kind: jsonl, columns: {text: review}}."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from framework.errors import UserError
from framework.registry import check_names


def separate_options(split: str, given: Mapping[str, Any], known: Sequence[str], constructor: Callable[..., None]) -> dict[str, Any]:
    """The options of a split that is given as a mapping, its files under the name of the split. known: options that it may set.

    UserError: it has no path, an unknown option, or a value of another type than the constructor takes.
    """
    check_names(given, ("path", *known), f"data.{split} has no option")
    if not given.get("path"):
        raise UserError(f"data.{split}={dict(given)} names no file: data.{split}={{path: FILE, ...}}")
    hints = get_type_hints(constructor)
    for name, value in given.items():
        if not _fits(value, str | list[str] if name == "path" else hints[name]):
            raise UserError(f"data.{split}.{name}={value!r} is not of the type of data.{name}")
    return {split if name == "path" else name: value for name, value in given.items()}


def _fits(value: Any, kind: Any) -> bool:
    """Whether a plain value has a type that options have: a union, Literal, list, dict, or a class."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in inner)
    if origin is Literal:
        return value in inner
    if origin is dict:
        return isinstance(value, Mapping) and _all_fit(value.values(), inner[1])
    if origin is list:
        return isinstance(value, list) and _all_fit(value, inner[0])
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _all_fit(values: Iterable[Any], kind: Any) -> bool:
    return all(_fits(value, kind) for value in values)
