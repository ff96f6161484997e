"""The index of all options: what the registry knows, kept as one JSON file so that nobody imports torch to read a menu.

It is made from the registered classes themselves (names, signatures, docstrings, rules), in the user's cache folder, and made
again when a source, a plugin or a distribution it was made from changes. Config nodes, `--help`, `list`, completion and every
config error come from it.
"""

import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from framework import registry
from framework.config.discovery import Origin, conf_folder, origins, plugins_here
from framework.config.inventory import take_inventory
from framework.config.rules import check_rules
from framework.errors import UserError
from framework.utils.cache_folder import cache_folder, usable_cache
from framework.utils.files import write_text

# Groups of the command line; `callbacks` and `logger` hold named nodes of the kind beside them, an experiment and `debug` hold values.
GROUPS = ("model", "data", "tokenizer", "task", "optimizer", "schedule", "trainer", "callbacks", "logger", "experiment", "debug")
NAMED = {"callbacks": "callback", "logger": "tracker"}
TOP = {"name": "str | None", "seed": "int", "resume": "str | None"}  # keys beside the groups, and their types
_DEPENDENCIES = ("torch", "pytorch-lightning", "hydra-core", "torchmetrics")
_FORMAT = 6  # of the index; a new number makes every old index stale


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

    def traits(self, part: str, option: str) -> list[str]:
        """The traits of an option of `KIND/NAME` (`framework.config.traits`); none if there is no such part or option."""
        kind, _, name = part.partition("/")
        entry = self.options.get(kind, {}).get(name, {"fields": {}, "slots": {}})
        return (entry["fields"].get(option) or entry["slots"].get(option) or {}).get("traits", [])

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
        """ "kind/name" -> the module that registers the part."""
        return {f"{kind}/{name}": option["module"] for kind, names in self.options.items() for name, option in names.items()}


@cache
def load() -> Catalogue:
    """The catalogue, from the cache if nothing it was made from has changed."""
    sources = origins()
    stamp = _stamp(sources)
    place = f"{sys.prefix}{conf_folder()}{''.join(map(str, plugins_here()))}"  # two folders with plugins do not drive each other out
    path = cache_folder() / f"catalogue-{hashlib.sha256(place.encode()).hexdigest()[:12]}.json"
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        index = {}
    if not isinstance(index, dict) or index.get("stamp") != stamp:
        index = {"stamp": stamp, **take_inventory(sources)}
        check_rules(index["options"], [*TOP, *(f"{group}_part" for group in GROUPS)])
        with usable_cache():
            write_text(path, json.dumps(index, indent=1))
    return Catalogue(index)


def _stamp(sources: list[Origin]) -> str:
    """Changes when anything the catalogue is made from does."""
    digest = hashlib.sha256(f"{_FORMAT} {sys.version}".encode())
    for name in _DEPENDENCIES:
        digest.update(f"{name} {importlib.metadata.version(name)}\n".encode())
    files = [path for source in sources for path in source.files()]
    for source in sources:
        digest.update(f"{source}\n".encode())
    ours = [*sorted(Path(__file__).parent.glob("*.py")), Path(registry.__file__)]
    for path in (*files, *sorted(conf_folder().rglob("*.yaml")), *ours):
        stat = path.stat()
        digest.update(f"{path} {stat.st_mtime_ns} {stat.st_size}\n".encode())
    return digest.hexdigest()
