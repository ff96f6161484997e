"""The signature of a class is its config."""

import inspect
import re
from functools import cache
from typing import Any

from framework.errors import UserError

CONTEXT: dict[type, frozenset[str]] = {}  # context arguments that have a default


class Signature:
    """The parameters of a class: options and context arguments.

    fields: option -> default. context: names of the context arguments (required: those without a default).
    constructors: the classes whose constructors have these parameters; `**options` stands for the parameters of the next base class.
    nullable: options that may be null, by their default or annotation.
    framework_options: options that the framework reads (class attribute of that name; a class has those of its bases too). No constructor
        takes their values; a context argument of the same name is what the framework builds from it. A method is a switch: true = call it.
    """

    def __init__(self, cls: type):
        context = next((CONTEXT[base] for base in cls.__mro__ if base in CONTEXT), frozenset())
        self.fields: dict[str, Any] = {}
        self.context: list[str] = []
        self.required: set[str] = set()
        self.nullable: set[str] = set()
        self.constructors = _constructors(cls)
        signatures = [inspect.signature(base).parameters.values() for base in reversed(self.constructors)]
        named = {one.name: one for each in signatures for one in each if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)}
        for parameter in named.values():
            if parameter.default is parameter.empty or parameter.name in context:
                self.context.append(parameter.name)
                if parameter.default is parameter.empty:
                    self.required.add(parameter.name)
            else:
                self.fields[parameter.name] = parameter.default
                if parameter.default is None or re.search(r"\bNone\b|\bOptional\b", str(parameter.annotation)):
                    self.nullable.add(parameter.name)
        declared = [name for base in reversed(cls.__mro__) for name in vars(base).get("framework_options", ())]
        self.framework_options: tuple[str, ...] = tuple(dict.fromkeys(declared))
        if taken := [name for name in self.framework_options if name in self.fields]:
            raise UserError(f"{cls.__name__} asks for {taken[0]!r}, an option that the framework reads itself: it needs another name")
        defaults = {name: getattr(cls, name) for name in self.framework_options}
        self.fields.update({name: True if inspect.isfunction(value) else value for name, value in defaults.items()})


def _constructors(cls: type) -> list[type]:
    constructors = []
    for base in cls.__mro__:
        if "__init__" in vars(base):
            constructors.append(base)
            if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in inspect.signature(base).parameters.values()):
                break
    return constructors


def check_contract(built: object, name: str) -> None:
    """UserError: an object lacks an attribute that a base class of the framework declares and gives no value. name: of its class."""
    for base in type(built).__mro__:
        if base.__module__.startswith("framework."):
            for attribute in vars(base).get("__annotations__", {}):
                if not attribute.startswith("_") and not hasattr(built, attribute):
                    raise UserError(
                        f"{name} ({type(built).__module__}.{type(built).__qualname__}) has no attribute {attribute!r}, "
                        f"which every {base.__name__} has: set it in the class or in __init__"
                    )


@cache
def signature(cls: type) -> Signature:
    """The signature of a class, computed once."""
    return Signature(cls)
