"""The jobs of a sweep: the overrides of each, which jobs are the same, and short names that say what differs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path

from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from framework.config.hydra_compose import attach, overrides_parser
from framework.config.hydra_source import key_of
from framework.config.quoting import unquoted
from framework.errors import UserError

_ELSEWHERE = ("runs", "name", "report")  # where a job lies, how it is called and shown, not what it computes
_NAME = 80  # bytes of a job's name, without its number


def parse_overrides(words: Sequence[str], folders: Iterable[Path] = ()) -> list[Override]:
    """Overrides, read by Hydra's grammar. UserError: one cannot be read."""
    attach(folders)
    try:
        return overrides_parser().parse_overrides(list(words))
    except HydraException as error:
        raise UserError(str(error).partition("\n")[0]) from error


def expand(overrides: Sequence[Override]) -> list[tuple[str, ...]]:
    """The overrides of each job: every value of an override with every value of the others, the last one changing first.
    UserError: an interval, which has no first value."""
    values: dict[str, list[str]] = {}  # by key: the last override of a key counts
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override():
            values[key] = [override.input_line or key]
            continue
        if not override.is_discrete_sweep():
            raise UserError(f"{override.input_line}: an interval is for a search: add sweep=optuna, or list values, {key}=A,B")
        values[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
    jobs = list(product(*values.values()))
    if any(not choices for choices in values.values()):
        raise UserError(f"the sweep has no jobs: {next(key for key, choices in values.items() if not choices)} has no value")
    return jobs


def trains_folds(words: Iterable[str]) -> bool:
    """Whether overrides ask for all folds of a cross-validation: `data.folds` without `data.fold`."""
    values = _values(words)
    return values.get("data.folds", "null") != "null" and "data.fold" not in values


def with_folds(words: Sequence[str]) -> list[str]:
    """Overrides with all folds of a cross-validation as values to sweep over, where they ask for them.
    UserError: the number of folds is not one number."""
    if not trains_folds(words):
        return list(words)
    folds = _values(words)["data.folds"]
    if not folds.isdecimal() or int(folds) < 2:
        raise UserError(f"data.folds={folds}: a number of folds, at least 2")
    return [*words, f"data.fold={','.join(str(number + 1) for number in range(int(folds)))}"]


def identity(words: Iterable[str]) -> tuple[str, ...]:
    """A key that is equal for equal jobs: their overrides, sorted and without quotes, and without `runs` and `name`."""
    return tuple(sorted(f"{key}={value}" for key, value in _values(words).items() if key not in _ELSEWHERE))


def names(jobs: Sequence[Iterable[str]], keys: Sequence[str] | None = None) -> list[str]:
    """For each job the overrides in which it differs from others, `position=alibi,seed=1`: safe and short enough for a folder, not always
    unique. All jobs of one folder are given, in whatever order they were added. keys: of the overrides; None = those that differ."""
    tables = [{key: value for key, value in _values(words).items() if key not in _ELSEWHERE} for words in jobs]
    every = list(dict.fromkeys(key for table in tables for key in table))
    differing = [key for key in every if len({table.get(key) for table in tables}) > 1] if keys is None else keys
    short = _short_keys(differing)
    return [_name(",".join(f"{short[key]}={_short_value(table[key])}" for key in differing if key in table)) for table in tables]


def _values(words: Iterable[str]) -> Mapping[str, str]:
    """Key -> value without quotes; of a removed key, `~KEY`, nothing."""
    return {("~" if word.startswith("~") else "") + key_of(word): unquoted(word.partition("=")[2]) for word in words}


def _short_keys(keys: Sequence[str]) -> dict[str, str]:
    """Key -> its last words, as many as tell it from the others: `encoder.position` beside `decoder.position`."""
    parts = {key: re.split("[./]", key) for key in keys}
    short = {}
    for key, path in parts.items():
        others = [other for name, other in parts.items() if name != key]
        count = next((n for n in range(1, len(path)) if all(other[-n:] != path[-n:] for other in others)), len(path))
        short[key] = ".".join(path[-count:])
    return short


def _short_value(value: str) -> str:
    """A value in a name: of a path its end, of a number with many digits the first three."""
    if re.fullmatch(r"[+-]?\d*\.\d{4,}(e[+-]?\d+)?|[+-]?\d(\.\d+)?e[+-]?\d+", value):
        return f"{float(value):.3g}"
    return Path(value).name if "/" in value else value


def _name(text: str) -> str:
    safe = re.sub(r"[^\w.,=+-]+", "-", text).encode("utf-8", "replace")
    return safe[:_NAME].decode("utf-8", "ignore").strip("-_.,=")
