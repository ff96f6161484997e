"""JSON lines, and JSON files with one array of objects."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from framework.data.formats import Row
from framework.data.sources.columns import Columns
from framework.data.sources.lines import lines
from framework.errors import UserError

_NEXT = re.compile(r"[^\s,]|\Z")  # start of the next value


def read_json_lines(path: Path, columns: Columns, encoding: str) -> Iterator[tuple[Row, str]]:
    """One JSON object a line."""
    for number, line in enumerate(lines(path, encoding), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            hint = "set data.kind=json to read an array" if line.lstrip().startswith("[") else "each line must be one object"
            raise UserError(f"{where}: not JSON: {error.msg} at character {error.pos}; {hint}") from None
        yield _row(values, columns, where), where


def read_json(path: Path, columns: Columns, encoding: str) -> Iterator[tuple[Row, str]]:
    """One array of objects, read into memory as a whole; a file that does not begin with a bracket is read as JSON lines."""
    start = next((line for line in lines(path, encoding) if line.strip()), "")
    if not start.lstrip().startswith("["):
        yield from read_json_lines(path, columns, encoding)
        return
    text = "".join(lines(path, encoding))
    decoder = json.JSONDecoder()
    line, counted, position = 1, 0, text.index("[") + 1
    while True:
        position = next(_NEXT.finditer(text, position)).start()
        line, counted = line + text.count("\n", counted, position), position
        where = f"{path}, line {line}"
        if text[position : position + 1] == "]":
            return
        try:
            values, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            place = f"{path}, line {error.lineno}, character {error.colno}"
            raise UserError(f"{place}: not JSON: {error.msg}; the file must be one array, [{{...}}, {{...}}]") from None
        yield _row(values, columns, where), where


def _row(values: Any, columns: Columns, where: str) -> Row:
    if not isinstance(values, dict):
        raise UserError(f'{where}: the value must be an object, {{"{columns.names[0]}": ...}}, and is a {type(values).__name__}')
    return columns.pick(values, where)
