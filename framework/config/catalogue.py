"""The catalogue: an index of all options and presets, one JSON file in the user's cache folder, so that `--help` need not import torch.

It is made from the registered classes (names, signatures, docstrings, rules), and made again when a source, a plugin or a distribution
that it was made from changes. Config nodes, `--help`, `list`, shell completion and all messages about configs come from it.
"""

import hashlib
import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from framework import registry
from framework.config.discovery import DISTRIBUTION, Origin, conf_folder, origins, plugins_here
from framework.config.inventory import preset_entry
from framework.config.names import Entries, named
from framework.config.records import Record, leave_out, own_presets, refreshed
from framework.config.rules import check_rules
from framework.errors import UserError
from framework.utils.cache_folder import cache_folder, usable_cache
from framework.utils.files import write_text
from framework.utils.phases import phase
from framework.utils.ranks import ranks

# Groups of the command line. `callbacks` and `logger` hold named nodes of the kind beside them; the last three hold files that choose
# options of the other groups and set their values (a recipe belongs to a task: its files lie in `recipe/TASK`).
GROUPS = ("model", "data", "tokenizer", "task", "optimizer", "schedule", "trainer", "callbacks", "logger", "recipe", "experiment", "debug")
NAMED = {"callbacks": "callback", "logger": "tracker"}
FILES = ("recipe", "experiment", "debug")
# keys beside the groups, and their types
TOP = {"name": "str | None", "seed": "int", "resume": "str | None", "runs": "str", "effort": "str", "report": "bool"}
_TOP_NAMES = (*TOP, *(f"{group}_part" for group in GROUPS))  # what every rule may name
_OWN_PRESETS = "conf"  # the name of their record; no package has it


@dataclass(frozen=True)
class LeftOut:
    """A plugin that is left out. label: distribution and version, or folder. offers: `KIND/NAME` of what it would bring."""

    label: str
    reason: str
    offers: tuple[str, ...]

    def __str__(self) -> str:
        return f"plugin {self.label} was left out: {self.reason}"


@dataclass(frozen=True)
class Catalogue:
    """options: kind -> name -> entry (`inventory`). presets: kind or group -> name -> {file, doc, base, listed, distribution}; base: the
    option or preset that it starts from; listed: whether it has a defaults list of Hydra's own. aliases, shared, renamed: see
    `names.Names`. left_out: plugins that cannot be read. packages: import name of every package that brings parts -> its plugin name,
    empty for the framework."""

    options: Entries
    presets: Entries
    aliases: Mapping[str, str] = field(default_factory=dict)
    shared: Mapping[str, list[str]] = field(default_factory=dict)
    renamed: Mapping[str, list[str]] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)

    def notices(self) -> list[str]:
        """One line for each plugin that is left out or shares names with another package."""
        shared = [f"plugin {label} shares names with another; its own are {', '.join(names)}" for label, names in self.renamed.items()]
        return [*map(str, self.left_out), *shared]

    def canonical(self, kind: str, name: str) -> str:
        """The name under which an option or preset is kept: `theirs:echo` is `echo` where nobody else has that name."""
        return self.aliases.get(f"{kind}/{name}", name)

    def has(self, kind: str, name: str) -> bool:
        """Whether there is such an option or preset."""
        return self.canonical(kind, name) in self.names(kind)

    def absent(self, kind: str, name: str, what: str = "") -> str:
        """The message for an option or preset that there is not: nearest and all names, or where it is. what: `KIND 'NAME'`."""
        what = what or f"{kind} {name!r}"
        for plugin in self.left_out:
            if f"{kind}/{name.rpartition(':')[2]}" in plugin.offers:
                return f"there is no {what}: {plugin}"
        if ways := self.shared.get(f"{kind}/{name}"):
            return f"there are several parts {what}: choose {' or '.join(ways)}"
        near, known = registry.nearest(name, self.names(kind)), ", ".join(self.names(kind)) or "none"
        unread = "".join(f"; {plugin}" for plugin in self.left_out if not plugin.offers)
        return f"there is no {what}{near}; there are: {known}{unread}"

    def option(self, part: str) -> dict[str, Any]:
        """The entry of `KIND/NAME`. UserError: there is no such option."""
        kind, _, name = part.partition("/")
        if kind not in self.options:
            known = sorted(self.options)
            raise UserError(f"there is no kind {kind!r}{registry.nearest(kind, known)}; there are: {', '.join(known)}")
        name = self.canonical(kind, name)
        if name not in self.options[kind]:
            raise UserError(self.absent(kind, name))
        return self.options[kind][name]

    def of_distribution(self, part: str, distribution: str) -> str | None:
        """The name that `KIND/NAME` of a distribution has now; None if the distribution is not there, or no longer has that part."""
        kind, _, name = part.partition("/")
        for key, entry in self.options.get(kind, {}).items():
            from_there = distribution in (entry["distribution"].partition(" ")[0], f"plugins/{self.packages.get(entry['package'])}")
            if from_there and key.rpartition(":")[2] == name.rpartition(":")[2]:
                return f"{kind}/{key}"
        return None

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
        name = self.canonical(group, name)
        folders = [presets for path, presets in self.presets.items() if path == group or path.startswith(f"{group}/")]
        return next(named[name] for named in (self.options.get(group, {}), *folders) if name in named)

    def base(self, kind: str, name: str) -> str:
        """The option that a preset starts from in the end; an option is its own base. Empty: a preset of named nodes, or of groups."""
        seen: set[str] = set()
        name = self.canonical(kind, name)
        while name in self.presets.get(kind, {}) and name not in seen:
            seen.add(name)
            name = self.canonical(kind, self.presets[kind][name]["base"])
        return name if name in self.options.get(kind, {}) else ""

    def with_folders(self, folders: Iterable[Path]) -> "Catalogue":
        """The catalogue with the presets, recipes and experiments in the user's folders. UserError: the name of one is taken."""
        presets = {kind: dict(named) for kind, named in self.presets.items()}
        recipes = ((f"recipe/{task}", f"recipe/{task}") for task in self.options.get("task", {}))
        places = dict([*((kind, kind) for kind in self.options), *self.groups(), *recipes, ("sweep", "sweep")]) if folders else {}
        for folder in folders:
            for path, kind in places.items():
                for file in sorted((folder / path).glob("*.yaml")):
                    known = self.options.get(kind, {}).get(file.stem) or presets.setdefault(kind, {}).get(file.stem)
                    if known:
                        raise UserError(f"{kind}/{file.stem} exists twice:\n  {known['file']}\n  {file}\nRename the preset.")
                    presets[kind][file.stem] = preset_entry(file, str(folder))
        return replace(self, presets=presets)

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

    def home(self, part: str) -> str | None:
        """The module that registers `KIND/NAME`; None if nobody does. UserError: several plugins do, or one that is left out."""
        kind, _, name = part.partition("/")
        entry = self.options.get(kind, {}).get(self.canonical(kind, name))
        if entry is None and (part in self.shared or any(part in plugin.offers for plugin in self.left_out)):
            raise UserError(self.absent(kind, name))
        return entry["module"] if entry else None

    def rule_names(self) -> set[str] | None:
        """The names that the rule of some part may use; None while they are not known (`Packages`)."""
        entries = [entry for names in self.options.values() for entry in names.values()]
        names = {name for entry in entries for name in (*entry["fields"], *(f"{slot}_part" for slot in entry["slots"]))}
        return {*names, *_TOP_NAMES}


class Packages(Catalogue):
    """The packages, while what they bring is not known yet. A plugin may ask for the class of a part of ours while it is imported."""

    def home(self, part: str) -> str | None:
        return _own_homes().get(part)

    def rule_names(self) -> None:
        return None


_indexing: Packages | None = None


def known() -> Catalogue:
    """The catalogue, as the registry asks it. The packages alone while their parts are indexed, and while a module of theirs is imported
    before that: indexing would import the package a second time in the middle of the first."""
    if _indexing or load.cache_info().currsize:
        return _indexing or load()
    packages = {origin.package: origin.plugin for origin in origins()}
    importing = [name for name, module in [*sys.modules.items()] if getattr(getattr(module, "__spec__", None), "_initializing", False)]
    if any(f"{name}.".startswith(f"{package}.") for name in importing for package in packages):
        return Packages({}, {}, packages=packages)
    return load()


@cache
def _own_homes() -> dict[str, str]:
    """`KIND/NAME` of every part of ours -> the module that registers it."""
    records = refreshed(_saved(), [origin for origin in origins() if origin.distribution == DISTRIBUTION])
    options = [(kind, names) for record in records.values() for kind, names in record["options"].items()]
    return {f"{kind}/{name}": entry["module"] for kind, names in options for name, entry in names.items()}


def _file(here: Iterable[Path] | None = None) -> Path:
    """The file of the records: one for each folder with plugins. here: of these plugins, by default those of the current folder."""
    place = f"{sys.prefix}{conf_folder()}{''.join(map(str, plugins_here() if here is None else here))}"
    return cache_folder() / f"catalogue-{hashlib.sha256(place.encode()).hexdigest()[:12]}.json"


@cache
def load() -> Catalogue:
    """The catalogue, read from the cache but for the packages that have changed. What there is to say about plugins is logged once."""
    found = origins()
    path = _file()
    saved = _saved()
    records = _indexed(saved, found)
    if records != saved:
        with usable_cache():
            write_text(path, json.dumps(records, separators=(",", ":")))
    catalogue = _catalogue(records, found)
    if ranks().rank == 0:
        for notice in catalogue.notices():
            logging.getLogger("plugformer").warning(notice)
    return catalogue


def _saved() -> dict[str, Record]:
    """The records as they were saved, in a folder with new plugins those of other folders without any: most packages are the same."""
    return _read(_file()) or _read(_file(here=()))


def _indexed(saved: dict[str, Record], found: list[Origin]) -> dict[str, Record]:
    """The records of all packages. UserError: something of ours is wrong."""
    global _indexing
    _indexing = Packages({}, {}, packages={origin.package: origin.plugin for origin in found})
    try:
        with phase("indexing the parts of packages that are new or have changed"):
            records = {**refreshed(saved, found), _OWN_PRESETS: own_presets(saved.get(_OWN_PRESETS, {}))}
        return records if records == saved else _with_sound_rules(records, found)
    finally:
        _indexing = None


def _read(path: Path) -> dict[str, Record]:
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return saved if isinstance(saved, dict) else {}


def _catalogue(records: Mapping[str, Record], found: list[Origin]) -> Catalogue:
    own = Origin(_OWN_PRESETS, conf_folder(), "plugformer", "")
    names = named([(origin, records[origin.package]) for origin in (own, *found) if not records[origin.package]["left_out"]])
    out = [(origin, records[origin.package]) for origin in found if records[origin.package]["left_out"]]
    left_out = tuple(LeftOut(origin.label, record["left_out"], tuple(record["offers"])) for origin, record in out)
    packages = {origin.package: origin.plugin for origin in found}
    return Catalogue(names.options, names.presets, names.aliases, names.shared, names.renamed, left_out, packages)


def _with_sound_rules(records: dict[str, Record], found: list[Origin]) -> dict[str, Record]:
    """The records, those of plugins with a wrong rule left out. UserError: a rule of ours is wrong."""
    for origin in found:
        catalogue = _catalogue(records, found)
        own = {
            f"{kind}/{name}"
            for kind, names in catalogue.options.items()
            for name, entry in names.items()
            if f"{entry['module']}.".startswith(f"{origin.package}.")
        }
        try:
            check_rules(catalogue.options, _TOP_NAMES, own)
        except UserError as error:
            if not origin.plugin:
                raise
            records = {**records, origin.package: leave_out(records[origin.package], origin, str(error))}
    return records
