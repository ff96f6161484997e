"""Writes JSON that every program reads: no `NaN` or `Infinity`, which JSON does not have, and no half of a surrogate pair."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")


def to_json(value: Any, indent: int | None = None, ascii_only: bool = False) -> str:
    """A value as JSON text, without an end of line. A number that is not finite becomes null.

    >>> to_json({"loss": float("nan"), "name": "größer"})
    '{"loss": null, "name": "größer"}'
    """
    text = json.dumps(_finite(value), indent=indent, ensure_ascii=ascii_only, allow_nan=False)
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value
