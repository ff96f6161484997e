"""Finished runs below folders, and the variants that they are trainings of: groups by what differs in their configs but the seed."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framework.errors import UserError
from framework.registry import nearest
from framework.runs.folder import Run

IGNORED = ("seed", "data.fold", "name", "resume", "runs", "logger", "report")  # keys of a config that make no variant
Values = dict[str, Any]


@dataclass(frozen=True)
class Finished:
    """A run that has its figures. values: its config, flat: `optimizer.lr` -> value, `model/position` -> option or preset."""

    run: Run
    config: Mapping[str, Any]
    notes: Mapping[str, Any]
    metrics: Mapping[str, float]
    values: Values

    @property
    def name(self) -> str:
        return self.run.folder.name

    @property
    def task(self) -> str:
        return str(self.config["task"]["part"])

    @property
    def seed(self) -> Any:
        return self.config.get("seed")

    @property
    def fold(self) -> int | None:
        """Of a cross-validation."""
        fold: int | None = self.config["data"].get("fold")
        return fold


@dataclass(frozen=True)
class Variant:
    """Runs with the same values of the columns. label: the values in one line."""

    values: tuple[Any, ...]
    runs: list[Finished]
    label: str


def run_folders(path: Path) -> Iterator[Path]:
    """The folders of runs below a folder, or itself, in the order of their names; links are not followed."""
    if (path / "config.yaml").is_file():
        yield path
        return
    for child in sorted(os.scandir(path), key=lambda entry: entry.name):
        if child.is_dir(follow_symlinks=False) and not child.name.startswith("."):
            yield from run_folders(Path(child.path))


def finished_runs(paths: Sequence[Path]) -> list[Finished]:
    """The finished runs of folders. One without figures, or damaged, is left out with a line on standard error. UserError: there is no such
    folder, or no finished run."""
    found: dict[Path, Finished] = {}
    for path in paths:
        if not path.exists():
            raise UserError(f"{path}: there is no such folder; compare takes folders of runs, or runs: compare runs/classification")
        folders = [Run.open(path).folder] if path.name == "last" else list(run_folders(path)) if path.is_dir() else []
        for folder in folders:
            run = Run(folder.resolve())
            try:
                config, notes, metrics = run.saved_config(), run.notes(), run.results()
            except UserError as error:
                print(f"{folder} is left out: {error}", file=sys.stderr)
                continue
            if not metrics:
                print(f"{folder} is left out: it has no figures, because it is {notes.get('state', 'not finished')}", file=sys.stderr)
                continue
            found[run.folder] = Finished(run, config, notes, metrics, flat(config, notes["chosen"]))
    if not found:
        raise UserError(f"{', '.join(map(str, paths))}: there is no finished run")
    return list(found.values())


def without_repetitions(runs: Sequence[Finished]) -> list[Finished]:
    """The newest of runs with the same config and seed, which are one training, not two; the others are named on standard error."""
    kept: dict[str, Finished] = {}
    for one in sorted(runs, key=lambda one: str(one.notes.get("created", ""))):
        key = repr((one.task, one.seed, one.fold, sorted(one.values.items(), key=lambda item: item[0])))
        if key in kept:
            print(f"{kept[key].run.folder} is left out: {one.name} is the same training, with the same config and seed", file=sys.stderr)
        kept[key] = one
    return sorted(kept.values(), key=lambda one: str(one.run.folder))


def flat(config: Mapping[str, Any], chosen: Mapping[str, str]) -> Values:
    """The values of a config by their keys, without those that make no variant. A slot has the option or preset that was chosen."""
    values: Values = {}

    def walk(node: Mapping[str, Any], path: str) -> None:
        for key, value in node.items():
            here = f"{path}.{key}" if path else key
            if here in IGNORED:
                continue
            if key == "part":
                slot = path.replace(".", "/")
                values[slot] = chosen.get(slot, str(value).partition("/")[2])
            elif isinstance(value, Mapping):
                walk(value, here)
            else:
                values[here] = value

    walk(config, "")
    return {**values, **{group: chosen[group] for group in ("experiment", "recipe") if group in chosen}}


def typed(run: Finished) -> list[str]:
    """The keys of a run's command line."""
    return [word.lstrip("+~").partition("=")[0] for word in run.notes["overrides"]]


def differing(runs: Sequence[Finished]) -> list[str]:
    """The keys by which variants are told apart: those that differ and were typed, then those that differ and do not follow from these.

    A value that the task chose from the training rows follows from the rows, which the seed may have split: it makes no variant.
    """
    keys = dict.fromkeys(key for run in runs for key in run.values)
    different = [key for key in keys if len({repr(run.values.get(key)) for run in runs}) > 1]
    words = dict.fromkeys(key for run in runs for key in typed(run))
    kept = [key for key in words if key in different]
    chosen = {
        part.rpartition(" ")[0] for run in runs for line in run.notes.get("settings", []) for part in line.partition(":")[0].split(", ")
    }
    for key in sorted(different, key=lambda key: (key.count(".") + key.count("/"), "." in key)):
        if key not in kept and key not in chosen and key.replace("/", ".") not in chosen and not _follows(key, kept, runs):
            kept.append(key)
    return kept


def _follows(key: str, kept: Sequence[str], runs: Sequence[Finished]) -> bool:
    """Whether the values of a key are a function of those of the kept keys."""
    seen: dict[str, str] = {}
    return all(seen.setdefault(_cell(run, kept), repr(run.values.get(key))) == repr(run.values.get(key)) for run in runs)


def _cell(run: Finished, keys: Sequence[str]) -> str:
    return repr([run.values.get(key) for key in keys])


def variants(runs: Sequence[Finished], keys: Sequence[str]) -> list[Variant]:
    """The runs grouped by the values of keys, in the order in which these appear."""
    groups: dict[str, list[Finished]] = {}
    for run in runs:
        groups.setdefault(_cell(run, keys), []).append(run)
    made = []
    for group in groups.values():
        values = tuple(group[0].values.get(key) for key in keys)
        words = [f"{key}={shown(value)}" if "." in key else shown(value) for key, value in zip(keys, values, strict=True)]
        made.append(Variant(values, group, ", ".join(words) or "all runs"))
    return made


def shown(value: Any) -> str:
    """A value of a config in a table."""
    return "-" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def checked_keys(given: Sequence[str], runs: Sequence[Finished]) -> list[str]:
    """The keys of `by=`. UserError: no run has such a key."""
    known = dict.fromkeys(key for run in runs for key in run.values)
    for key in given:
        if key not in known:
            different = ", ".join(differing(runs)) or "nothing but the seed"
            raise UserError(f"by={key}: no run has such a key{nearest(key, list(known))}; the runs differ in {different}")
    return list(given)
