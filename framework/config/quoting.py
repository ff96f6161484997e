"""Quotes in overrides, where Hydra's grammar cannot read a value without them: names with `=`, with quotes, with umlauts."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

_PLAIN = re.compile(r"[A-Za-z0-9_./\\+\-$%*@?|: ]*")  # what Hydra reads as it stands; `=`, brackets, quotes and other letters it does not
_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_SEGMENT = re.compile(rf"\s*(?:{_QUOTED})\s*(?=[\[\]{{}},]|$)|[^\[\]{{}},]+", re.DOTALL)  # of a list or mapping, between its marks


def quoted(words: Iterable[str]) -> list[str]:
    """Overrides with quotes around values, or elements of lists and mappings, that Hydra cannot read as they are. The name of a file that
    exists is one value, whatever it contains. What cannot be read with quotes either is left as it is.

    >>> quoted(["name=Grüße", "data.train=[größe.csv,b.csv]", "seed=1,2"])
    ["name='Grüße'", "data.train=['größe.csv',b.csv]", 'seed=1,2']
    """
    return [_quoted(word) for word in words]


def quote(text: str) -> str:
    """A text as a value in Hydra's grammar, in quotes where it needs them."""
    if re.fullmatch(r"[A-Za-z0-9_./:@+-]+", text):
        return text
    return "'" + re.sub(r"(\\*)('|$)", lambda match: 2 * match[1] + "\\" * bool(match[2]) + match[2], text) + "'"


def written(value: Any) -> str:
    """A plain value in Hydra's grammar.

    >>> written([{"window": None}, {}, 0.5])
    '[{window: null}, {}, 0.5]'
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(written, value))}]"
    return quote(value) if isinstance(value, str) else json.dumps(value)


def unquoted(text: str) -> str:
    """A value without the quotes of Hydra's grammar around it."""
    match = re.fullmatch(r"(['\"])(.*)\1", text, re.DOTALL)
    if not match:
        return text
    return re.sub(rf"(\\+)({match[1]}|$)", lambda found: "\\" * (len(found[1]) // 2) + found[2], match[2])


def read_value(word: str) -> Any:
    """The value of an override in Hydra's grammar. Raises the exceptions of Hydra."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return OverridesParser.create().parse_override(word).value()


def _quoted(word: str) -> str:
    key, equals, value = word.partition("=")
    if not equals or _PLAIN.fullmatch(value):
        return word
    if os.path.lexists(value):
        return f"{key}={quote(value)}"
    if _reads(word):
        return word
    inner = f"{key}={_SEGMENT.sub(lambda match: _element(match[0]), value)}"
    if _reads(inner):
        return inner
    return f"{key}={quote(value)}" if value[0] not in "[{'\"" and _reads(f"{key}={quote(value)}") else word


def _element(text: str) -> str:
    """An element of a list or mapping, or a whole value."""
    blank, key, value = re.fullmatch(r"(\s*)([\w.]+\s*:\s+)?(.*)", text, re.DOTALL).groups("")  # type: ignore[union-attr]
    return text if _PLAIN.fullmatch(value) or value[0] in "'\"" else f"{blank}{key}{quote(value)}"


def _reads(word: str) -> bool:
    """Whether Hydra can read an override."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        OverridesParser.create().parse_override(word)
    except HydraException:
        return False
    return True
