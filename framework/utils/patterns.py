"""Names by shell patterns: `encoder.layers.[0-3].*`."""

import difflib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from framework.errors import UserError

Patterns = str | Sequence[str] | None


def matching(patterns: Patterns, names: Sequence[str], option: str, what: str) -> list[str]:
    """The names that one of the patterns matches. UserError: a pattern that matches none, with the nearest, and what there is."""
    for pattern in unmatched(patterns, names):
        known = alike(names)
        there = ", ".join(known) or "none"
        raise UserError(f"{option}: {pattern!r} matches no {what}{_meant(pattern, names)}; there are: {there}")
    return matched(patterns, names)


def matched(patterns: Patterns, names: Iterable[str]) -> list[str]:
    """The names that one of the patterns matches."""
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in listed(patterns))]


def unmatched(patterns: Patterns, names: Iterable[str]) -> list[str]:
    """The patterns that match no name."""
    return [pattern for pattern in listed(patterns) if not any(fnmatchcase(name, pattern) for name in names)]


def listed(patterns: Patterns) -> list[str]:
    return [patterns] if isinstance(patterns, str) else list(patterns or ())


def alike(names: Iterable[str]) -> list[str]:
    """Names as patterns, those that differ in numbers, or weight and bias, as one: `encoder.layers.*.attention.query.*`."""
    return list(dict.fromkeys(".".join("*" if _varies(word) else word for word in name.split(".")) for name in names))


def _varies(word: str) -> bool:
    return word.isdigit() or word in ("weight", "bias")


def _meant(pattern: str, names: Sequence[str]) -> str:
    """The pattern with its words replaced by the nearest of the names, if it then matches one."""
    words = {word for name in names for word in name.split(".")}
    meant = ".".join((difflib.get_close_matches(word, words, n=1) or [word])[0] for word in pattern.split("."))
    return f" (did you mean {meant!r}?)" if meant != pattern and any(fnmatchcase(name, meant) for name in names) else ""
