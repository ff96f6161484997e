"""Small JSON files that others wrote."""

import json
from pathlib import Path
from typing import Any

from framework.errors import UserError


def read_table(path: Path) -> dict[str, Any]:
    """A JSON file of names and values; empty where there is no such file. UserError: it is damaged."""
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is damaged: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} is damaged: it holds no table of names and values")
    return values
