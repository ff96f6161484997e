"""JSON lines, and JSON files with one array of objects."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from framework.data.formats import Row
from framework.data.sources.columns import Columns
from framework.data.sources.lines import lines
from framework.data.values import REPEATED
from framework.errors import UserError

_BLANKS = re.compile(r"[ \t\r\n]*")


def read_json_lines(path: Path, columns: Columns, encoding: str | None) -> Iterator[tuple[Row, str]]:
    """One JSON object a line."""
    for number, line in enumerate(lines(path, encoding), 1):
        where = f"{path}, line {number}"
        if not line.strip():
            if columns.keeps_blank:
                yield {}, where
            continue
        start = _after_blanks(line, 0)
        hint = "set data.kind=json to read an array" if line.startswith("[", start) else "each line must be one object"
        values, end = _value(line, start, where, hint)
        if (end := _after_blanks(line, end)) < len(line):
            raise UserError(f"{where}: not JSON: more text after the value, at character {end}; {hint}")
        yield _row(values, columns, where), where


def read_json(path: Path, columns: Columns, encoding: str | None) -> Iterator[tuple[Row, str]]:
    """One array of objects, read into memory as a whole; a file that does not begin with a bracket is read as JSON lines."""
    start = next((line for line in lines(path, encoding) if line.strip()), "")
    if not start.lstrip().startswith("["):
        yield from read_json_lines(path, columns, encoding)
        return
    text = "".join(lines(path, encoding))
    line, counted, position = 1, 0, _after_blanks(text, text.index("[") + 1)
    more = text[position : position + 1] != "]"
    while more:
        line, counted = line + text.count("\n", counted, position), position
        where = f"{path}, line {line}"
        values, position = _value(text, position, path, "the file must be one array, [{...}, {...}]")
        yield _row(values, columns, where), where
        position = _after_blanks(text, position)
        if text[position : position + 1] not in ("]", ","):
            line += text.count("\n", counted, position)
            raise UserError(
                f"{path}, line {line}: not JSON: Expecting ',' or ']' after an object; the file must be one array, [{{...}}, {{...}}]"
            )
        more = text[position] == ","
        position = _after_blanks(text, position + 1) if more else position
    end = _after_blanks(text, position + 1)
    if end < len(text):
        raise UserError(
            f"{path}, line {1 + text.count(chr(10), 0, end)}: more text after the end of the array: {text[end : end + 20]!r}\n"
            "the file must be one array; join several, or write one object a line and set data.kind=jsonl"
        )


def _after_blanks(text: str, position: int) -> int:
    match = _BLANKS.match(text, position)
    assert match
    return match.end()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        values |= {name: REPEATED for name, count in Counter(name for name, _ in pairs).items() if count > 1}
    return values


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def _value(text: str, position: int, where: str | Path, hint: str) -> tuple[Any, int]:
    """The value at a position, and its end. where: the place of a row, or the file, of which `text` is all."""
    try:
        return _DECODER.raw_decode(text, position)
    except json.JSONDecodeError as error:
        place = f"{where}, line {error.lineno}, character {error.colno}" if isinstance(where, Path) else str(where)
        at = "" if isinstance(where, Path) else f" at character {error.pos}"
        raise UserError(f"{place}: not JSON: {error.msg.removesuffix(' at')}{at}; {hint}") from None
    except (RecursionError, ValueError) as error:
        line = f"{where}, line {1 + text.count(chr(10), 0, position)}" if isinstance(where, Path) else where
        reason = "nested too deeply" if isinstance(error, RecursionError) else "an integer of more than 4,300 digits"
        raise UserError(f"{line}: {reason} to be read, also in a column that is not used: remove it, or write it as text") from None


def _row(values: Any, columns: Columns, where: str) -> Row:
    if not isinstance(values, dict):
        raise UserError(f'{where}: the value must be an object, {{"{columns.names[0]}": ...}}, and is a {type(values).__name__}')
    return columns.pick(values, where)
