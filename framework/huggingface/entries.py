"""Entries of a config.json, which somebody else wrote: their types and sizes are checked before they are used."""

from collections.abc import Mapping
from typing import Any

from framework.errors import UserError
from framework.utils.typed import fits, name_of, shown

LARGEST = 2**31 - 1  # a size


def entry(config: Mapping[str, Any], key: str, type: Any, default: Any = None) -> Any:
    """An entry of a config.json, or the default. type: see `framework.utils.typed`. UserError: it has another type."""
    value = config.get(key, default)
    if key in config and not (fits(value, type) and is_size(value)):
        raise UserError(f"config.json has {key}={shown(value)}, and it must be {name_of(type)}")
    return value


def is_size(value: Any) -> bool:
    """Whether a value of a config.json can be meant: a number that is neither negative nor infinite, nor larger than any size."""
    return not isinstance(value, (int, float)) or 0 <= value <= LARGEST
