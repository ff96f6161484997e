"""Reads small JSON files of other programs."""

import json
from pathlib import Path
from typing import Any

from framework.errors import UserError


def read_table(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if there is no such file. UserError: the file is damaged."""
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is damaged: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} is damaged: it contains no JSON object")
    return values
