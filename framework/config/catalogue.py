"""The catalogue: an index of all options and presets, one JSON file in the user's cache folder, so that `--help` need not import torch.

It is made from the registered classes (names, signatures, docstrings, rules), and made again when a source, a plugin or a distribution
that it was made from changes. Config nodes, `--help`, `list`, shell completion and all messages about configs come from it.
"""

import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from framework import registry
from framework.config.discovery import Origin, conf_folder, origins, plugins_here
from framework.config.inventory import preset_entry, take_inventory
from framework.config.rules import check_rules
from framework.errors import UserError
from framework.utils.cache_folder import cache_folder, usable_cache
from framework.utils.files import write_text

# Groups of the command line. `callbacks` and `logger` hold named nodes of the kind beside them; the last three hold files that choose
# options of the other groups and set their values (a recipe belongs to a task: its files lie in `recipe/TASK`).
GROUPS = ("model", "data", "tokenizer", "task", "optimizer", "schedule", "trainer", "callbacks", "logger", "recipe", "experiment", "debug")
NAMED = {"callbacks": "callback", "logger": "tracker"}
FILES = ("recipe", "experiment", "debug")
TOP = {"name": "str | None", "seed": "int", "resume": "str | None"}  # keys beside the groups, and their types
_DEPENDENCIES = ("torch", "pytorch-lightning", "hydra-core", "torchmetrics")
_FORMAT = 8  # of the index; a new number makes every old index stale


class Catalogue:
    """options: kind -> name -> entry (`inventory`). presets: kind or group -> name -> {file, doc, base, distribution}; base: the option or
    preset that it starts from."""

    def __init__(self, index: dict[str, Any]):
        self.options: dict[str, dict[str, dict[str, Any]]] = index["options"]
        self.presets: dict[str, dict[str, dict[str, str]]] = index["presets"]

    def option(self, part: str) -> dict[str, Any]:
        """The entry of `KIND/NAME`. UserError: there is no such option."""
        kind, _, name = part.partition("/")
        if name not in self.options.get(kind, {}):
            known = self.names(kind) if kind in self.options else sorted(self.options)
            what = f"{kind} {name!r}" if kind in self.options else f"kind {kind!r}"
            near = registry.nearest(name if kind in self.options else kind, known)
            raise UserError(f"there is no {what}{near}; there are: {', '.join(known)}")
        return self.options[kind][name]

    def traits(self, part: str, option: str) -> list[str]:
        """The traits of an option of `KIND/NAME` (`inventory.TRAITS`); none if there is no such part or option."""
        kind, _, name = part.partition("/")
        entry = self.options.get(kind, {}).get(name, {"fields": {}, "slots": {}})
        return (entry["fields"].get(option) or entry["slots"].get(option) or {}).get("traits", [])

    def names(self, group: str) -> list[str]:
        """The names of all options and presets of a group or kind; for `recipe` those of all tasks."""
        folders = [presets for path, presets in self.presets.items() if path == group or path.startswith(f"{group}/")]
        return sorted({*self.options.get(group, {}), *(name for presets in folders for name in presets)})

    def known(self, group: str, name: str) -> dict[str, Any]:
        """The entry of an option or preset of a group or kind."""
        folders = [presets for path, presets in self.presets.items() if path == group or path.startswith(f"{group}/")]
        return next(named[name] for named in (self.options.get(group, {}), *folders) if name in named)

    def base(self, kind: str, name: str) -> str:
        """The option that a preset starts from in the end; an option is its own base. Empty: a preset of named nodes, or of groups."""
        seen: set[str] = set()
        while name in self.presets.get(kind, {}) and name not in seen:
            seen.add(name)
            name = self.presets[kind][name]["base"]
        return name if name in self.options.get(kind, {}) else ""

    def with_folders(self, folders: Iterable[Path]) -> "Catalogue":
        """The catalogue with the presets, recipes and experiments in the user's folders. UserError: the name of one is taken."""
        presets = {kind: dict(named) for kind, named in self.presets.items()}
        recipes = ((f"recipe/{task}", f"recipe/{task}") for task in self.options.get("task", {}))
        places = dict([*((kind, kind) for kind in self.options), *self.groups(), *recipes]) if folders else {}
        for folder in folders:
            for path, kind in places.items():
                for file in sorted((folder / path).glob("*.yaml")):
                    known = self.options.get(kind, {}).get(file.stem) or presets.setdefault(kind, {}).get(file.stem)
                    if known:
                        raise UserError(f"{kind}/{file.stem} exists twice:\n  {known['file']}\n  {file}\nRename the preset.")
                    presets[kind][file.stem] = preset_entry(file, str(folder))
        return Catalogue({"options": self.options, "presets": presets})

    def slots(self, kind: str) -> dict[str, str]:
        """Slot -> kind, over all options of a kind."""
        return {slot: entry["kind"] for option in self.options.get(kind, {}).values() for slot, entry in option["slots"].items()}

    def kind_at(self, path: str) -> str | None:
        """The kind of a group path: `model/decoder/cross` -> attention. None: there is no such group."""
        if path in GROUPS or (path.partition("/")[0] in FILES and path in self.presets):
            return path
        first, *rest = path.split("/")
        kind = first if first in self.options else None
        for slot in rest:
            kind = self.slots(kind).get(slot) if kind else None
        return kind

    def groups(self) -> Iterator[tuple[str, str]]:
        """Every (group path, kind) of the command line, top-level groups first."""
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
    """The catalogue, read from the cache unless a file that it was made from has changed."""
    sources = origins()
    stamp = _stamp(sources)
    place = f"{sys.prefix}{conf_folder()}{''.join(map(str, plugins_here()))}"  # one file for each folder with plugins
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
    """A digest of everything that the catalogue is made from."""
    digest = hashlib.sha256(f"{_FORMAT} {sys.version}".encode())
    for name in _DEPENDENCIES:
        digest.update(f"{name} {importlib.metadata.version(name)}\n".encode())
    files = [path for source in sources for path in source.files()]
    for source in sources:
        digest.update(f"{source}\n".encode())
    ours = [*sorted(Path(__file__).parent.glob("*.py")), *sorted(Path(registry.__file__).parent.glob("*.py"))]
    for path in (*files, *sorted(conf_folder().rglob("*.yaml")), *ours):
        stat = path.stat()
        digest.update(f"{path} {stat.st_mtime_ns} {stat.st_size}\n".encode())
    return digest.hexdigest()
