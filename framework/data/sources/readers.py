"""Rows of files, one reader a kind of file; each yields a row and where it stands."""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from framework.data.formats import Row
from framework.data.sources.columns import Columns
from framework.data.sources.lines import lines
from framework.errors import UserError

Found = tuple[Row, str]
LONGEST_FIELD = 1 << 24  # characters; a quote that never closes is noticed here, not when memory is full


def read_table(path: Path, columns: Columns, encoding: str, header: bool | None, delimiter: str, quoting: bool) -> Iterator[Found]:
    """CSV and TSV. A row stands on the line where it begins, also after quoted line breaks."""
    csv.field_size_limit(LONGEST_FIELD)
    quotes: Literal[0, 3] = csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE
    reader = csv.reader(lines(path, encoding), delimiter=delimiter, quoting=quotes, strict=True)
    names: list[str] | None = None
    places: dict[str, int] | None = None
    for values, line in _records(reader, path):
        where = f"{path}, line {line}"
        if places is None:
            has_header = not columns.numbered if header is None else header
            names = [name.strip() for name in values] if has_header else None
            places = columns.places(names, len(values), where)
            if has_header:
                continue
        if names is not None and len(values) > len(names):
            raise UserError(f"{where}: {len(values)} columns where the header has {len(names)}; a delimiter inside a text needs quotes")
        row = {column: values[place] for column, place in places.items() if place < len(values)}
        if len(row) < len(places) and (column := columns.lacking(row)):
            missing = names[places[column]] if names else places[column]
            raise UserError(f"{where}: column {missing!r} is missing ({len(values)} columns here); each row needs {column!r}")
        yield row, where


def _records(reader: Any, path: Path) -> Iterator[tuple[list[str], int]]:
    """Rows that are not blank, and the line where each begins."""
    while True:
        line = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(
                f"{path}, line {line}: {error}\n"
                "a quoted text must close its quote and double the quotes inside; where quotes mean nothing: data.quoting=false"
            ) from None
        if values:
            yield values, line


def read_json_lines(path: Path, columns: Columns, encoding: str) -> Iterator[Found]:
    """One JSON object a line."""
    for number, line in enumerate(lines(path, encoding), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            hint = "; this looks like one array: write one object a line" if number == 1 and line.lstrip().startswith("[") else ""
            raise UserError(f"{where}: not JSON: {error.msg} at character {error.pos}{hint}") from None
        if not isinstance(values, dict):
            raise UserError(f'{where}: a {type(values).__name__} where an object is wanted, like {{"{columns.names[0]}": ...}}')
        yield columns.pick(values, where), where


def read_parquet(path: Path, columns: Columns) -> Iterator[Found]:
    """Parquet, a batch of rows at a time."""
    import pyarrow  # 0.2 s that only parquet pays
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid as error:
        raise UserError(f"{path}: not a parquet file ({str(error).splitlines()[0]})") from None
    names = file.schema_arrow.names
    places = columns.places(names, len(names), str(path))
    number = 0
    with file:
        for batch in file.iter_batches(batch_size=1024, columns=sorted({names[place] for place in places.values()})):
            for values in batch.to_pylist():
                number += 1
                row = {column: values[names[place]] for column, place in places.items() if values[names[place]] is not None}
                if column := columns.lacking(row):
                    raise UserError(f"{path}, row {number}: column {names[places[column]]!r} is null; each row needs {column!r}")
                yield row, f"{path}, row {number}"


def read_text(path: Path, column: str, encoding: str, unit: Literal["line", "paragraph", "file"], running: bool) -> Iterator[Found]:
    """Plain text. running: nothing is lost, the texts of all rows together are the file; else without blank lines and line ends."""
    for text, line in _units(path, encoding, unit):
        if running or text.strip():
            yield {column: text if running else text.strip("\r\n")}, f"{path}, line {line}"


def _units(path: Path, encoding: str, unit: Literal["line", "paragraph", "file"]) -> Iterator[tuple[str, int]]:
    """Pieces of the text and the line where each begins. A paragraph ends after the blank lines behind it."""
    gathered: list[str] = []
    begun = 1
    for number, line in enumerate(lines(path, encoding), 1):
        paragraph_ends = unit == "paragraph" and gathered and line.strip() and not gathered[-1].strip()
        if gathered and (unit == "line" or paragraph_ends):
            yield "".join(gathered), begun
            gathered, begun = [], number
        gathered.append(line)
    if gathered:
        yield "".join(gathered), begun


def read_pattern(path: Path, columns: Columns, encoding: str, pattern: str) -> Iterator[Found]:
    """Plain text lines taken apart by a regular expression whose named groups are the columns."""
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UserError(f"data.pattern={pattern}: not a regular expression: {error}") from None
    groups = list(expression.groupindex)
    columns.places(groups, len(groups), f"data.pattern={pattern}")
    for number, line in enumerate(lines(path, encoding), 1):
        text, where = line.rstrip("\r\n"), f"{path}, line {number}"
        if not text:
            continue
        match = expression.fullmatch(text)
        if match is None:
            raise UserError(f"{where}: {text[:60]!r} does not fit data.pattern={pattern}")
        yield columns.pick(match.groupdict(), where), where


def read_parallel(paths: Sequence[Path], columns: Columns, encoding: str) -> Iterator[Found]:
    """Parallel text: line N of every file belongs together; the files are the columns, in their order."""
    places = columns.places(None, len(paths), " and ".join(map(str, paths)))
    files = [lines(path, encoding) for path in paths]
    for number, texts in enumerate(zip_longest(*files), 1):
        if None in texts:
            lengths = [number - (text is None) + sum(1 for _ in file) for text, file in zip(texts, files, strict=True)]
            listed = ", ".join(f"{path} has {length}" for path, length in zip(paths, lengths, strict=True))
            raise UserError(f"parallel files of different length: {listed} lines; line N of each must say the same")
        yield {column: texts[place].rstrip("\r\n") for column, place in places.items()}, f"{paths[0]}, line {number}"
