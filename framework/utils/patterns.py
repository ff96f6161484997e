"""Names matched by shell patterns: `encoder.layers.[0-3].*`."""

import difflib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from framework.errors import UserError

Patterns = str | Sequence[str] | None


def matching(patterns: Patterns, names: Sequence[str], option: str, what: str) -> list[str]:
    """The names that match any of the patterns. UserError: a pattern matches none; the message gives the nearest and all names."""
    for pattern in listed(patterns):
        if not any(fnmatchcase(name, pattern) for name in names):
            known = ", ".join(folded(names)) or "none"
            raise UserError(f"{option}: {pattern!r} matches no {what}{_nearest(pattern, names)}; there are: {known}")
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in listed(patterns))]


def listed(patterns: Patterns) -> list[str]:
    """One pattern, several or none as a list."""
    return [patterns] if isinstance(patterns, str) else list(patterns or ())


def folded(names: Iterable[str]) -> list[str]:
    """Names as patterns: those that differ only in numbers, or in weight and bias, become one (`encoder.layers.*.attention.query.*`)."""
    words = (name.split(".") for name in names)
    return list(dict.fromkeys(".".join("*" if word.isdigit() or word in ("weight", "bias") else word for word in each) for each in words))


def _nearest(pattern: str, names: Sequence[str]) -> str:
    """The pattern with each word replaced by the nearest word of the names, if it then matches a name."""
    words = {word for name in names for word in name.split(".")}
    near = ".".join((difflib.get_close_matches(word, words, n=1) or [word])[0] for word in pattern.split("."))
    return f" (did you mean {near!r}?)" if near != pattern and any(fnmatchcase(name, near) for name in names) else ""
