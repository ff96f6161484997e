"""The index of all options: what the registry knows, kept as one JSON file so that nobody imports torch to read a menu.

It is made from the registered classes themselves (names, signatures, docstrings, rules), in the user's cache folder, and made
again when a source, a plugin or a distribution it was made from changes. Config nodes, `--help`, `list`, completion and every
config error come from it.
"""

import hashlib
import importlib
import importlib.metadata
import inspect
import json
import os
import re
import sys
import tempfile
import types
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from framework import registry
from framework.discovery import Origin, conf_folder, origins
from framework.errors import UserError

# Groups of the command line; `callbacks` and `logger` hold named nodes of the kind beside them, an experiment holds values.
GROUPS = ("model", "data", "tokenizer", "task", "optimizer", "schedule", "trainer", "callbacks", "logger", "experiment")
NAMED = {"callbacks": "callback", "logger": "tracker"}
_DEPENDENCIES = ("torch", "pytorch-lightning", "hydra-core", "torchmetrics")
_DECLARATIONS = ("provides", "rules", "apart", "sealed", "columns", "optional", "defaults", "recipe")
_FORMAT = 5  # of the index; a new number makes every old index stale


class Catalogue:
    """options: kind -> name -> what is known of it. presets: group or kind -> name -> {file, doc, distribution}."""

    def __init__(self, index: dict[str, Any]):
        self.options: dict[str, dict[str, dict[str, Any]]] = index["options"]
        self.presets: dict[str, dict[str, dict[str, str]]] = index["presets"]

    def option(self, part: str) -> dict[str, Any]:
        """What is known of `KIND/NAME`. UserError: there is none."""
        kind, _, name = part.partition("/")
        if name not in self.options.get(kind, {}):
            known = self.names(kind) if kind in self.options else sorted(self.options)
            what = f"{kind} {name!r}" if kind in self.options else f"kind {kind!r}"
            near = registry.nearest(name if kind in self.options else kind, known)
            raise UserError(f"there is no {what}{near}; there are: {', '.join(known)}")
        return self.options[kind][name]

    def names(self, group: str) -> list[str]:
        """What may be chosen for a group or a kind: registered parts and presets."""
        return sorted({*self.options.get(group, {}), *self.presets.get(group, {})})

    def slots(self, kind: str) -> dict[str, str]:
        """Slot -> kind, over all options of a kind."""
        return {slot: entry["kind"] for option in self.options.get(kind, {}).values() for slot, entry in option["slots"].items()}

    def kind_at(self, path: str) -> str | None:
        """The kind chosen at a group path: `model/decoder/cross` -> attention. None: no such group."""
        first, *rest = path.split("/")
        kind = first if first in self.options or first in self.presets else None
        for slot in rest:
            kind = self.slots(kind).get(slot) if kind else None
        return kind

    def groups(self) -> Iterator[tuple[str, str]]:
        """Every (group path, kind) that a command line can choose at, top-level groups first."""
        pending = [(group, group) for group in GROUPS]
        while pending:
            path, kind = pending.pop(0)
            yield path, kind
            pending += [(f"{path}/{slot}", inner) for slot, inner in self.slots(kind).items() if path.count("/") < 4]

    def homes(self) -> dict[str, str]:
        return {f"{kind}/{name}": option["module"] for kind, names in self.options.items() for name, option in names.items()}


def cache_folder() -> Path:
    """$PLUGFORMER_CACHE, or `plugformer` in the user's cache folder."""
    if "PLUGFORMER_CACHE" in os.environ:
        return Path(os.environ["PLUGFORMER_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plugformer"


@cache
def load() -> Catalogue:
    """The catalogue, from the cache if nothing it was made from has changed."""
    sources = origins()
    stamp = _stamp(sources)
    path = cache_folder() / f"catalogue-{hashlib.sha256(f'{sys.prefix}{conf_folder()}'.encode()).hexdigest()[:12]}.json"
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        index = {}
    if not isinstance(index, dict) or index.get("stamp") != stamp:
        index = {"stamp": stamp, **_read(sources)}
        _write(path, json.dumps(index, indent=1))
    catalogue = Catalogue(index)
    registry.know_homes(catalogue.homes())
    return catalogue


def _stamp(sources: list[Origin]) -> str:
    """Changes when anything the catalogue is made from does."""
    digest = hashlib.sha256(f"{_FORMAT} {sys.version}".encode())
    for name in _DEPENDENCIES:
        digest.update(f"{name} {importlib.metadata.version(name)}\n".encode())
    files = [path for source in sources for path in source.files()]
    for source in sources:
        digest.update(f"{source}\n".encode())
    for path in (*files, *sorted(conf_folder().rglob("*.yaml")), Path(__file__), Path(registry.__file__)):
        stat = path.stat()
        digest.update(f"{path} {stat.st_mtime_ns} {stat.st_size}\n".encode())
    return digest.hexdigest()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".catalogue", delete=False) as file:
        file.write(text)
    os.replace(file.name, path)


def _read(sources: list[Origin]) -> dict[str, Any]:
    """Imports everything that registers parts and writes down what the registry knows then."""
    distributions: dict[str, str] = {}
    for source in sources:
        for module in source.modules():
            importlib.import_module(module)
            distributions[module] = f"{source.distribution} {source.version}"
    options: dict[str, dict[str, Any]] = {}
    for kind, names in registry.registered().items():
        for name, cls in sorted(names.items()):
            entry = _option(kind, name, cls)
            entry["distribution"] = distributions.get(entry["module"], "this program")
            options.setdefault(kind, {})[name] = entry
    return {"options": options, "presets": _presets(sources, options)}


def _presets(sources: list[Origin], options: dict[str, dict[str, Any]]) -> dict[str, dict[str, dict[str, str]]]:
    presets: dict[str, dict[str, dict[str, str]]] = {}
    own = Origin("conf", conf_folder(), "plugformer", "")
    folders = [(own.folder, own.distribution), *((source.conf, source.distribution) for source in sources if source.conf)]
    for folder, distribution in folders:
        for path in sorted(folder.rglob("*.yaml")):
            group, name = path.relative_to(folder).parent.as_posix(), path.stem
            other = presets.setdefault(group, {}).get(name, {}).get("file") or options.get(group, {}).get(name, {}).get("file")
            if other:
                raise UserError(f"{group}/{name} exists twice:\n  {other}\n  {path}\nA preset needs a name of its own.")
            presets[group][name] = {"file": str(path), "doc": _comment(path), "base": _base(path), "distribution": distribution}
    for named in presets.values():
        for preset in named.values():
            while preset["base"] in named:  # a preset of a preset
                preset["base"] = named[preset["base"]]["base"]
    return presets


def _base(path: Path) -> str:
    """The option or preset that a preset starts from: the first name of its defaults list."""
    found = re.search(r"^defaults:\s*(?:\[|\n\s*-)\s*(\w+)\s*[],\n]", path.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else ""


def _comment(path: Path) -> str:
    """What a preset says of itself: its first comment that is not a Hydra header."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ").strip()
        if line and not line.startswith("#"):
            break
    return ""


def _option(kind: str, name: str, cls: type) -> dict[str, Any]:
    parameters = registry.signature(cls)
    hints = _hints(cls)
    meanings = _meanings(cls)
    fields, slots = {}, {}
    for field, default in parameters.fields.items():
        if isinstance(default, registry.Choice):
            slots[field] = {"kind": default.kind, "default": default.name, "follows": default.follows, "meaning": meanings.get(field, "")}
        else:
            type_name = _type_name(hints.get(field, Any))
            fields[field] = {"type": type_name, "default": _plain(default), "meaning": meanings.get(field, "")}
    source = inspect.getsourcefile(cls) or ""
    return {
        "doc": (inspect.getdoc(cls) or "").partition("\n")[0],
        # A class that is not ours is registered by a module of ours: that module is what must be imported.
        "module": registry.registrar(cls),
        "class": f"{cls.__module__}.{cls.__qualname__}",
        "file": source,
        "line": inspect.getsourcelines(cls)[1] if source else 0,
        "offered": parameters.offered,
        "required": sorted(parameters.required),
        "fields": fields,
        "slots": slots,
        "declarations": {key: _plain(getattr(cls, key)) for key in _DECLARATIONS if hasattr(cls, key)},
    }


def _hints(cls: type) -> dict[str, Any]:
    """Types of a class's parameters; none where an annotation names what only a type checker imports."""
    try:
        hints = typing.get_type_hints(inspect.getattr_static(cls, "__init__"))
        hints |= {key: hint for key, hint in typing.get_type_hints(cls).items() if key not in hints}
    except (NameError, TypeError):
        return {}
    return hints


def _type_name(hint: Any) -> str:
    """A type as text, of those a config can hold; `Any` for the rest."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(dict.fromkeys(_type_name(argument) for argument in arguments))
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
    """A default as JSON has it."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (int, float, str, bool, type(None))) else str(value)


def _meanings(cls: type) -> dict[str, str]:
    """Option -> its one line in a class docstring: `name: meaning.`, up to the next name or paragraph."""
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
