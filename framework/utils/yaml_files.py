"""YAML files that somebody else may have written: plain values without aliases, bounded in size, number and depth.

An alias makes a value of a few bytes as large as one likes (https://en.wikipedia.org/wiki/Billion_laughs_attack), and no config needs one:
`dump` writes none.
"""

from pathlib import Path
from typing import Any

import yaml

from framework.errors import UserError
from framework.utils.json_files import DEPTH, read_bytes
from framework.utils.typed import LARGEST, shown

LIMIT = 4 << 20  # bytes: a config has a few KB, and lists of labels some more
VALUES = 300_000
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where PyYAML was built with it: ten times as fast
_PLAIN = (str, int, float, bool, type(None))


class _Dumper(yaml.SafeDumper):
    """Writes an object that occurs twice twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def dump(value: Any) -> str:
    """YAML of plain values, in their order and without aliases."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def read_yaml(path: Path) -> Any:
    """The plain values in a YAML file. UserError: it is missing or damaged, has an alias, or is too large or too deep."""
    try:
        text = read_bytes(path, LIMIT).decode("utf-8")
        _check_events(text, path)
        value = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date or number that there is not, or no UTF-8
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is damaged: {str(error).partition(chr(10))[0][:200]}") from None
    _check_plain(value, path)
    return value


def _check_events(text: str, path: Path) -> None:
    """Checks the file before a value is made of it."""
    depth = values = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise UserError(f"{path}, line {event.start_mark.line + 1}: *{event.anchor[:40]} is an alias, which no config has")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        values += isinstance(event, yaml.NodeEvent)
        if depth > DEPTH or values > VALUES:
            what = f"more than {VALUES:,} values" if values > VALUES else f"values nested more than {DEPTH} deep"
            raise UserError(f"{path}, line {event.start_mark.line + 1}: no config has {what}")


def _check_plain(value: Any, path: Path) -> None:
    """UserError: a value that is no text, number, list or mapping (YAML has dates, sets and bytes as well), or no number of this size."""
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            pending += [*each, *each.values()]
        elif isinstance(each, list):
            pending += each
        elif not isinstance(each, _PLAIN) or (isinstance(each, int) and abs(each) > LARGEST):
            raise UserError(f"{path} is damaged: {shown(each)} is no value of a config")
