"""Records of packages: the entries of their parts and presets, made again for the packages that changed.

A record is valid as long as nothing changes on which an entry depends: the package's sources without the bodies of methods, those of the
framework and of other packages that it imports, versions of distributions. So an edit of a plugin imports that plugin at most.
"""

import hashlib
import importlib.metadata
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from framework import registry
from framework.config.discovery import Origin, conf_folder
from framework.config.inventory import preset_entries, take_inventory
from framework.config.source_scan import offered, scan
from framework.errors import place_of

Record = dict[str, Any]
_DEPENDENCIES = ("torch", "pytorch-lightning", "hydra-core", "torchmetrics")
_FORMAT = 12  # of a record; a new number makes every old one stale


def refreshed(saved: Mapping[str, Record], origins: list[Origin]) -> dict[str, Record]:
    """Package -> record, in the order of the packages; a record that is still valid is the saved object.

    files: path -> [modification time, size, what `scan` says]. options: kind -> name -> entry. presets: group -> name -> entry. left_out:
    why the package is left out; offers: `KIND/NAME` of what it would bring then.
    """
    files = {origin.package: _files(origin, saved.get(origin.package, {}).get("files", {})) for origin in origins}
    skeletons = {package: _digest([path, known["scan"]["skeleton"]] for path, known in found.items()) for package, found in files.items()}
    core = _digest([skeletons[origin.package] for origin in origins if not origin.plugin], *_versions())
    records: dict[str, Record] = {}
    for origin in origins:
        named = {module for known in files[origin.package].values() for module in known["scan"]["imports"]}
        needs = [
            skeletons[other.package]
            for other in origins
            if other.plugin and any(f"{module}.".startswith(f"{other.package}.") for module in named)
        ]
        key = _digest([core, str(origin), skeletons[origin.package], *needs])
        presets = [[str(path), path.stat().st_mtime_ns, path.stat().st_size] for path in origin.presets()]
        record = saved.get(origin.package, {})
        if record.get("key") != key or (record["left_out"] and record["site"] != _site()):
            record = {"key": key, **_taken(origin, files[origin.package])}
        if (record.get("files"), record.get("preset_files")) != (files[origin.package], presets):
            brought = {} if record["left_out"] else preset_entries(origin.conf or Path(), origin.presets(), origin.title)
            record = {**record, "files": files[origin.package], "preset_files": presets, "presets": brought}
            _renew_lines(record)
            if twice := [f"{kind}/{name}" for kind, names in brought.items() for name in names if name in record["options"].get(kind, {})]:
                record = leave_out(record, origin, f"{twice[0]} is a part and a preset of it: one needs another name")
        records[origin.package] = record
    return records


def own_presets(saved: Record) -> Record:
    """The record of the framework's own presets, which belong to no package."""
    files = sorted(conf_folder().rglob("*.yaml"))
    stamps = [[_FORMAT], *([str(path), path.stat().st_mtime_ns, path.stat().st_size] for path in files)]
    if saved.get("preset_files") == stamps:
        return saved
    return {"preset_files": stamps, "presets": preset_entries(conf_folder(), files, "plugformer"), "options": {}, "left_out": ""}


def leave_out(record: Record, origin: Origin, reason: str) -> Record:
    """The record of a package that is left out; the process forgets the parts that it registered."""
    registry.forget(origin.package)
    offers = {part for path in origin.sources() for part in offered(path)}
    offers |= {f"{path.relative_to(origin.conf).parent.as_posix()}/{path.stem}" for path in origin.presets() if origin.conf}
    return {**record, "options": {}, "presets": {}, "left_out": reason, "offers": sorted(offers), "site": _site()}


def _taken(origin: Origin, files: Mapping[str, Any]) -> Record:
    """The entries of a package, or why it is left out. What is wrong with the framework's own parts is raised."""
    if origin.problem:
        return leave_out({}, origin, origin.problem)
    modules = [(origin.module(Path(path)), known["scan"]["registers"]) for path, known in files.items()]
    try:
        options = take_inventory(origin, [name for name, registers in modules if name and (registers or name == origin.package)])
    except (Exception, SystemExit) as error:  # other people's code may raise anything
        if not origin.plugin:
            raise
        return leave_out({}, origin, place_of(error, origin.folder))
    return {"options": options, "left_out": ""}


def _files(origin: Origin, saved: Mapping[str, Any]) -> dict[str, Any]:
    files = {}
    for path in origin.sources():
        stat = path.stat()
        known = saved.get(str(path), {})
        stamp = [stat.st_mtime_ns, stat.st_size]
        files[str(path)] = known if known.get("stamp") == stamp else {"stamp": stamp, "scan": scan(path)}
    return files


def _renew_lines(record: Record) -> None:
    """The lines of the classes, which move with every edit."""
    for names in record["options"].values():
        for entry in names.values():
            lines = record["files"].get(entry["file"], {"scan": {"lines": {}}})["scan"]["lines"]
            entry["line"] = lines.get(entry["class"].removeprefix(f"{entry['module']}."), entry["line"])


def _versions() -> Iterable[str]:
    """Versions of what every entry depends on: the libraries, and the code that makes entries."""
    yield f"{_FORMAT} {sys.version}"
    yield from (f"{name} {importlib.metadata.version(name)}" for name in _DEPENDENCIES)
    for path in (*sorted(Path(__file__).parent.glob("*.py")), *sorted(Path(registry.__file__).parent.glob("*.py"))):
        yield f"{path} {path.stat().st_mtime_ns} {path.stat().st_size}"


def _site() -> str:
    """A digest that changes when a package is installed or removed: a package that was left out is tried again then."""
    folders = [Path(folder) for folder in sys.path if folder.endswith("-packages")]
    return _digest([[str(folder), folder.stat().st_mtime_ns] for folder in folders if folder.is_dir()])


def _digest(*items: Any) -> str:
    digest = hashlib.sha256()
    for item in items:
        digest.update(repr(list(item) if not isinstance(item, str) else item).encode())
    return digest.hexdigest()[:16]
