"""Readers of files by kind; each yields rows with their places."""

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any, Literal

from framework.data.sources.base import LocatedRow
from framework.data.sources.columns import Columns
from framework.data.sources.headers import SAMPLE_ROWS, find_header
from framework.data.sources.lines import lines
from framework.errors import UserError

LONGEST_FIELD = 1 << 24  # characters; an unclosed quote is an error before it fills the memory


def read_table(
    path: Path, columns: Columns, encoding: str, header: bool | list[str] | None, delimiter: str, quoting: bool, line_break: str | None
) -> Iterator[LocatedRow]:
    """CSV and TSV. The place of a row is its first line, also after quoted line breaks."""
    csv.field_size_limit(LONGEST_FIELD)
    quotes: Literal[0, 3] = csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE
    reader = csv.reader(lines(path, encoding), delimiter=delimiter, quoting=quotes, strict=True)
    records = _records(reader, path)
    first = list(islice(records, SAMPLE_ROWS))
    if not first:
        return
    where = f"{path}, line {first[0][1]}"
    names, has_header = find_header([values for values, _ in first], columns, header, where)
    indices = columns.indices(names, len(names or first[0][0]), where)
    breaks = re.compile(re.escape(line_break) + r"(?:\r?\n)?") if line_break else None
    for values, line in chain(first[1:] if has_header else first, records):
        where = f"{path}, line {line}"
        if names is not None and len(values) > len(names):
            raise UserError(f"{where}: {len(values)} columns where the header has {len(names)}; quote texts that contain the delimiter")
        row = columns.row([breaks.sub("\n", value) for value in values] if breaks else values, indices)
        if column := columns.missing(row):
            index = next((index for index in indices[column] if index >= len(values)), indices[column][0])
            reason = f"is missing ({len(values)} columns here)" if index >= len(values) else "is empty"
            raise UserError(f"{where}: column {names[index] if names else index!r} {reason}; each row needs {column!r}")
        yield row, where


def _records(reader: Any, path: Path) -> Iterator[tuple[list[str], int]]:
    """Rows that are not blank, and the line in which each begins."""
    while True:
        line = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(
                f"{path}, line {line}: {error}\n"
                "close the quote and double the quotes inside it, or set data.quoting=false if quotes are part of the text"
            ) from None
        if values:
            yield values, line


def read_parquet(path: Path, columns: Columns) -> Iterator[LocatedRow]:
    """Parquet, a batch of rows at a time."""
    import pyarrow  # takes 0.2 s
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid as error:
        raise UserError(f"{path}: not a parquet file ({str(error).splitlines()[0]})") from None
    names = file.schema_arrow.names
    indices = columns.indices(names, len(names), str(path))
    number = 0
    with file:
        for batch in file.iter_batches(
            batch_size=1024, columns=sorted({names[index] for selected in indices.values() for index in selected})
        ):
            for values in batch.to_pylist():
                number += 1
                row = columns.row([values.get(name) for name in names], indices)
                if column := columns.missing(row):
                    name = names[indices[column][0]]
                    raise UserError(f"{path}, row {number}: column {name!r} is null; each row needs {column!r}")
                yield row, f"{path}, row {number}"


def read_text(path: Path, column: str, encoding: str, unit: Literal["line", "paragraph", "file"], running: bool) -> Iterator[LocatedRow]:
    """Plain text. running: the rows in sequence are the whole file; otherwise blank lines and line ends are removed."""
    for text, line in _units(path, encoding, unit):
        if running or text.strip():
            yield {column: text if running else text.strip("\r\n")}, f"{path}, line {line}"


def _units(path: Path, encoding: str, unit: Literal["line", "paragraph", "file"]) -> Iterator[tuple[str, int]]:
    """Parts of the text and the line in which each begins. A paragraph includes the blank lines after it."""
    gathered: list[str] = []
    first = 1
    for number, line in enumerate(lines(path, encoding), 1):
        paragraph_ends = unit == "paragraph" and gathered and line.strip() and not gathered[-1].strip()
        if gathered and (unit == "line" or paragraph_ends):
            yield "".join(gathered), first
            gathered, first = [], number
        gathered.append(line)
    if gathered:
        yield "".join(gathered), first


def read_pattern(path: Path, columns: Columns, encoding: str, pattern: str) -> Iterator[LocatedRow]:
    """Lines of plain text, split into columns by the named groups of a regular expression."""
    expression = compiled("pattern", pattern)
    groups = list(expression.groupindex)
    columns.indices(groups, len(groups), f"data.pattern={pattern}")
    for number, line in enumerate(lines(path, encoding), 1):
        text, where = line.rstrip("\r\n"), f"{path}, line {number}"
        if not text:
            continue
        match = expression.fullmatch(text)
        if match is None:
            raise UserError(f"{where}: {text[:60]!r} does not match data.pattern={pattern}")
        yield columns.pick(match.groupdict(), where), where


def compiled(option: str, pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UserError(f"data.{option}={pattern}: not a regular expression: {error}") from None


def read_parallel(paths: Sequence[Path], columns: Columns, encoding: str) -> Iterator[LocatedRow]:
    """Parallel text: line N of all files is row N; the files are the columns, in their order."""
    indices = columns.indices(None, len(paths), " and ".join(map(str, paths)))
    files = [lines(path, encoding) for path in paths]
    for number, texts in enumerate(zip_longest(*files), 1):
        if None in texts:
            lengths = [number - (text is None) + sum(1 for _ in file) for text, file in zip(texts, files, strict=True)]
            listed = ", ".join(f"{path} has {length}" for path, length in zip(paths, lengths, strict=True))
            raise UserError(f"parallel files must have the same number of lines, and {listed}")
        yield columns.row([text.rstrip("\r\n") for text in texts], indices), f"{paths[0]}, line {number}"
