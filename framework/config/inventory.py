"""Makes the entries of a package's parts and presets. This imports the parts, so the catalogue keeps the result."""

import importlib
import inspect
import re
import types
import typing
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path
from typing import Any

from framework import registry
from framework.config.discovery import Origin
from framework.errors import UserError

# Traits that options may have: resuming, comparing and composing read them.
TRAITS = {
    "training_only": "affects training, not the outputs of a trained model",
    "may_change": "may change when a run is resumed",
    "optimizer_state": "may not change when a run is resumed: the optimizer's state depends on it",
    "pattern": "a pattern or another text whose brackets need no quotes",
    "by_layer": "a pattern of layers (framework/registry/layers.py)",
    "ruled": "the constructor takes every value that types and rules allow, so it need not be called to know",
    "empty": "an empty text has a meaning of its own, beside null",
}
_DECLARATIONS = ("provides", "rules", "excluded_slots", "scope_boundary", "columns", "optional", "makes", "reads", "loss_over")
_ORDER = ("Any", "bool", "int", "float", "str", "Literal", "list", "dict", "None")  # of the types in a union


def take_inventory(origin: Origin, modules: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Imports the modules of a package that register parts. Returns their entries: kind -> name -> entry."""
    for module in modules:
        importlib.import_module(module)
    options: dict[str, dict[str, Any]] = {}
    for kind, names in registry.registered().items():
        for name, cls in sorted(names.items()):
            if f"{registry.registrar(cls)}.".startswith(f"{origin.package}."):
                plain = name.rpartition(":")[2]
                options.setdefault(kind, {})[plain] = {**_option(cls), "distribution": origin.title, "package": origin.package}
    return options


def preset_entries(folder: Path, files: Iterable[Path], distribution: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Group -> name -> entry of the presets in a folder."""
    presets: dict[str, dict[str, dict[str, Any]]] = {}
    for path in files:
        presets.setdefault(path.relative_to(folder).parent.as_posix(), {})[path.stem] = preset_entry(path, distribution)
    return presets


def preset_entry(path: Path, distribution: str) -> dict[str, Any]:
    """The entry of a preset: its file, its first comment, the option or preset that it starts from, and whether it has a defaults list of
    Hydra's own."""
    text = path.read_text(encoding="utf-8")
    base = re.search(r"^(?:is:\s*|defaults:\s*(?:\[|\n\s*-)\s*)([\w:.]+)\s*(?:#.*)?[],\n]", f"{text}\n", re.MULTILINE)
    listed = re.search(r"^defaults:", text, re.MULTILINE) is not None
    return {"file": str(path), "doc": _comment(text), "base": base[1] if base else "", "listed": listed, "distribution": distribution}


def _comment(text: str) -> str:
    """The first comment that is not a Hydra header."""
    head = takewhile(lambda line: not line or line.startswith("#"), text.splitlines())
    return next((line.lstrip("# ").strip() for line in head if line and "@package" not in line), "")


def _option(cls: type) -> dict[str, Any]:
    """The entry of a class: where it is defined, its options and slots with types, defaults and meanings, and its declarations."""
    parameters = registry.signature(cls)
    hints = _hints(cls)
    meanings = _meanings(cls)
    traits = option_traits(cls)
    fields, slots = {}, {}
    for field, default in parameters.fields.items():
        if isinstance(default, registry.Choice):
            slots[field] = {"kind": default.kind, "default": default.name, "follows": default.follows}
        else:
            switch = inspect.isfunction(getattr(cls, field, None))  # of a method
            fields[field] = {"type": "bool" if switch else _type_name(hints.get(field, Any)), "default": _plain(default)}
        entry = slots[field] if field in slots else fields[field]
        entry |= {"meaning": meanings.get(field, ""), "traits": traits.get(field, [])}
    source = inspect.getsourcefile(cls) or ""
    return {
        "doc": (inspect.getdoc(cls) or "").partition("\n")[0],
        "module": registry.registrar(cls),  # which may be another module than the class's own
        "class": f"{cls.__module__}.{cls.__qualname__}",
        "file": source,
        "line": inspect.getsourcelines(cls)[1] if source else 0,
        "context": parameters.context,
        "fields": fields,
        "slots": slots,
        "declarations": {key: _plain(getattr(cls, key)) for key in _DECLARATIONS if hasattr(cls, key)},
    }


def option_traits(cls: type) -> dict[str, list[str]]:
    """Option -> its traits, as the class and its bases declare them: `option_traits = {"may_change": ("folder",)}`.
    UserError: the class declares an unknown trait or option."""
    fields = registry.signature(cls).fields
    traits: dict[str, list[str]] = {}
    for base in cls.__mro__:
        declared: dict[str, Any] = vars(base).get("option_traits", {})
        for trait, options in declared.items():
            if trait not in TRAITS:
                near = registry.nearest(trait, TRAITS)
                raise UserError(f"{base.__qualname__}: there is no option trait {trait!r}{near}; there are: {', '.join(TRAITS)}")
            if trait == "ruled" and any("__init__" in vars(other) for other in cls.__mro__[: cls.__mro__.index(base)]):
                continue  # a constructor of its own may refuse more
            for option in options:
                if option in fields:
                    traits.setdefault(option, []).append(trait)
                elif base is cls:
                    near = registry.nearest(option, fields)
                    raise UserError(f"{base.__qualname__}: {trait} names the option {option!r}, which it does not have{near}")
    return traits


def _hints(cls: type) -> dict[str, Any]:
    """Types of a class's parameters; none if an annotation uses a name that only type checkers import."""
    try:
        constructors = reversed(registry.signature(cls).constructors)
        hints = {name: hint for base in constructors for name, hint in typing.get_type_hints(base.__init__).items()}  # type: ignore[misc]
        hints |= {key: hint for key, hint in typing.get_type_hints(cls).items() if key not in hints}
    except (NameError, TypeError):
        return {}
    return hints


def _type_name(hint: Any) -> str:
    """A type as text if a config can hold its values, else `Any`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        # `typing` caches unions that are equal, so their order is that of the first one in the process
        names = dict.fromkeys(_type_name(argument) for argument in arguments)
        return " | ".join(sorted(names, key=lambda name: (_ORDER.index(name.partition("[")[0]), name)))
    if origin is typing.ClassVar:
        return _type_name(arguments[0])
    if origin is typing.Literal:
        return f"Literal[{', '.join(repr(argument) for argument in arguments)}]"
    if origin in (list, tuple, typing.Sequence) or hint in (list, tuple):
        inner = [argument for argument in arguments if argument is not Ellipsis]
        return f"list[{_type_name(inner[0]) if inner else 'Any'}]"
    if origin is dict or hint is dict:
        return f"dict[{', '.join(map(_type_name, arguments))}]" if arguments else "dict[Any, Any]"
    if hint is type(None):
        return "None"
    if hint in (int, float, str, bool):
        return hint.__name__
    return "Any"


def _plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (int, float, str, bool, type(None))) else str(value)


def _meanings(cls: type) -> dict[str, str]:
    """Option -> its meaning in the class docstring: `name: meaning.`, up to the next name or paragraph."""
    meanings: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        name = None
        for line in inspect.cleandoc(base.__doc__ or "").splitlines()[1:] if base is not object else ():
            if match := re.match(r"\s*`?([a-z_][a-z0-9_]*(?:, [a-z_][a-z0-9_]*)*)`?: +(.+)", line):
                name = match[1].split(", ")
                meanings.update(dict.fromkeys(name, match[2].strip()))
            elif name and line.strip():
                meanings.update({key: f"{meanings[key]} {line.strip()}" for key in name})
            else:
                name = None
    return meanings
