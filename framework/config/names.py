"""The names of options and presets where several packages bring parts: `NAME`, or `PLUGIN:NAME` where another package has that name too.

The framework keeps its names, and its plugins theirs beside those of other packages; two packages of one rank both lose the plain name. The
qualified name of a plugin's part always works, so that a config does not depend on what else is installed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from framework.config.discovery import Origin
from framework.errors import UserError

Entries = dict[str, dict[str, dict[str, Any]]]  # kind or group -> name -> entry


@dataclass
class Names:
    """options, presets: kind or group -> name -> entry. aliases: `KIND/PLUGIN:NAME` -> the name that stands for it. shared: `KIND/NAME` of
    several plugins -> their qualified names. renamed: label of a package -> `KIND=PLUGIN:NAME` of what has lost its plain name."""

    options: Entries = field(default_factory=dict)
    presets: Entries = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    shared: dict[str, list[str]] = field(default_factory=dict)
    renamed: dict[str, list[str]] = field(default_factory=dict)


def named(brought: Sequence[tuple[Origin, Mapping[str, Any]]]) -> Names:
    """The names of everything that packages bring; `brought`: each with its record, ours first."""
    ranks: dict[str, list[int]] = {}  # `KIND/NAME` -> the ranks of those that bring it
    for origin, record in brought:
        for part in _parts(record):
            ranks.setdefault(part, []).append(origin.rank)
    names = Names()
    for origin, record in brought:
        qualified = {}
        for part in _parts(record):
            kind, _, name = part.rpartition("/")
            own = f"{origin.plugin}:{name}"
            first, count = min(ranks[part]), ranks[part].count(min(ranks[part]))
            if (origin.rank, count) == (first, 1):
                names.aliases |= {f"{kind}/{own}": name} if origin.plugin else {}
                continue
            if not origin.plugin:
                raise UserError(f"{part} exists twice in the framework: {origin.package} needs another name")
            qualified[part] = own
            names.renamed.setdefault(origin.label, []).append(f"{kind}={own}")
            if count > 1:
                names.shared.setdefault(part, []).append(own)
        for kind, entries in record["options"].items():
            for name, entry in entries.items():
                names.options.setdefault(kind, {})[qualified.get(f"{kind}/{name}", name)] = _with_own_defaults(entry, qualified)
        for group, entries in record["presets"].items():
            for name, entry in entries.items():
                names.presets.setdefault(group, {})[qualified.get(f"{group}/{name}", name)] = entry
    return names


def _parts(record: Mapping[str, Any]) -> list[str]:
    return list(
        dict.fromkeys(f"{kind}/{name}" for table in ("options", "presets") for kind, names in record[table].items() for name in names)
    )


def _with_own_defaults(entry: dict[str, Any], qualified: Mapping[str, str]) -> dict[str, Any]:
    """An entry whose slots' defaults mean the parts of its own package."""
    slots = {}
    for slot, known in entry["slots"].items():
        slots[slot] = {**known, "default": qualified.get(f"{known['kind']}/{known['default']}", known["default"])}
    return {**entry, "slots": slots}
