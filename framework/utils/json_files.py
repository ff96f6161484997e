"""JSON files that somebody else may have written: bounded in size and depth before anything is made of them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from framework.errors import UserError
from framework.utils.typed import check_fields

LIMIT = 64 << 20  # bytes of a file: the largest tokenizers have 35 MB, other files a few KB
VALUES = 8_000_000  # values in a file: Python takes up to 100 bytes for each, whatever its length in the file
DEPTH = 64  # objects and lists in one another


def read_bytes(path: Path, limit: int = LIMIT) -> bytes:
    """The content of a file. UserError: it does not exist, is no regular file (a pipe would be waited for), or is too large."""
    if not path.is_file():
        raise UserError(f"{path} is missing, or is no file")
    try:
        if (size := path.stat().st_size) > limit:
            raise UserError(f"{path} is no file of this kind: it has {size:,} bytes, and at most {limit:,} are read")
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None


def read_json(path: Path, limit: int = LIMIT) -> Any:
    """The value in a JSON file. UserError: it is missing, damaged, too large or too deep."""
    return parse_json(read_bytes(path, limit), path)


def parse_json(content: bytes | str, where: object) -> Any:
    """The value of a JSON text. UserError: it is damaged, has too many values, or too many in one another. where: for the message."""
    data = content.encode() if isinstance(content, str) else content
    if data.count(b",") + data.count(b"[") + data.count(b"{") > VALUES:
        raise UserError(f"{where} is no file of this kind: it has more than {VALUES:,} values")
    try:
        value = json.loads(data.decode("utf-8"))
    except RecursionError:
        raise UserError(f"{where} is damaged: its values are nested more than {DEPTH} deep") from None
    except ValueError as error:  # also of an integer with thousands of digits
        raise UserError(f"{where} is damaged: {str(error)[:200]}") from None
    check_depth(value, where)
    return value


def check_depth(value: Any, where: object) -> None:
    """UserError: objects and lists are nested deeper than `DEPTH`, so that what walks them would run out of stack."""
    level = [value]
    for _ in range(DEPTH + 1):
        level = [inner for each in level if isinstance(each, (dict, list)) for inner in (each.values() if isinstance(each, dict) else each)]
        if not level:
            return
    raise UserError(f"{where} is damaged: its values are nested more than {DEPTH} deep")


def read_table(path: Path, types: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The object in a JSON file; empty if there is no such file. types: of its fields, see `check_fields`.

    UserError: the file is damaged, or a field has another type.
    """
    if not path.exists():
        return {}
    values = read_json(path)
    if not isinstance(values, dict):
        raise UserError(f"{path} is damaged: it contains no JSON object")
    check_fields(values, types or {}, path)
    return values
