"""Tables: CSV and TSV."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

from framework.data.formats import Row
from framework.data.sources.columns import Columns
from framework.data.sources.headers import SAMPLE_ROWS, find_header
from framework.data.sources.lines import lines
from framework.errors import UserError

LONGEST_FIELD = 1 << 24  # characters; an unclosed quote is an error before it fills the memory
DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
_DECLARED = re.compile(r'"?sep=(.)"?\r?\n?')  # the first line, by which spreadsheets declare a delimiter
_DOUBLED_QUOTES = re.compile(r'"(?:[^"]|"")*""(?:[^"]|"")*"', re.DOTALL)
_QUOTES_AFTER_BLANKS = re.compile(r'\s+".*"\s*', re.DOTALL)


@dataclass
class Table:
    """Reader of CSV and TSV files.

    delimiter: None = that of the first line `sep=;`, else a comma (csv) or tab (tsv), or the other one of `DELIMITERS` by which the first
        line has the selected columns.
    quoting: whether quotes enclose texts; None = in csv and wherever commas separate. Cells that show the opposite are refused.
    line_break: text that stands for a line break.
    """

    columns: Columns
    encoding: str | None
    kind: Literal["csv", "tsv"]
    header: bool | list[str] | None = None
    delimiter: str | None = None
    quoting: bool | None = None
    line_break: str | None = None

    def read(self, path: Path) -> Iterator[tuple[Row, str]]:
        """Iterate over rows; the place of a row is its first line, also after quoted line breaks."""
        csv.field_size_limit(LONGEST_FIELD)
        text = lines(path, self.encoding)
        first_line = next(text, "")
        declared = None if self.delimiter else _DECLARED.fullmatch(first_line)
        if declared:
            first_line = next(text, "")
        delimiter = self.delimiter or (declared[1] if declared else self._delimiter(first_line))
        quoting = (self.kind == "csv" or delimiter == ",") if self.quoting is None else self.quoting
        skipped = 1 if declared else 0
        records = _records(chain([first_line], text), delimiter, quoting, path, skipped, blank=self.columns.keeps_blank)
        first = list(islice(records, SAMPLE_ROWS))
        if not first:
            return
        where = f"{path}, line {first[0][1]}"
        try:
            names, has_header = find_header([values for values, _ in first if values], self.columns, self.header, where)
            width = len(names or first[0][0])
            indices = self.columns.indices(names, width, where)
        except UserError as error:
            raise type(error)(f"{error}{self._hint(first_line, delimiter, quoting)}") from None
        for line in range(1 + skipped, first[0][1]) if self.columns.keeps_blank and not has_header else ():
            yield {}, f"{path}, line {line}"
        breaks = re.compile(re.escape(self.line_break) + r"(?:\r?\n)?") if self.line_break else None
        for values, line in chain(first[1:] if has_header else first, records):
            where = f"{path}, line {line}"
            if not values:
                yield {}, where
                continue
            while len(values) > width and not values[-1]:  # delimiters at the end of a line
                values.pop()
            if names and len(names) > 1 and [value.strip() for value in values] == names:
                raise UserError(f"{where}: the header again, as where files are joined: remove it")
            if len(values) > width:
                known = "header" if names else "first row"
                raise UserError(f"{where}: {len(values)} columns where the {known} has {width}; quote texts that contain the delimiter")
            if self.quoting is None:
                self._check_quotes(values, quoting, where)
            row = self.columns.row([breaks.sub("\n", value) for value in values] if breaks else values, indices, where)
            if column := self.columns.missing(row):
                place = next((place for place in indices[column] if place.index >= len(values)), indices[column][0])
                cut = not quoting and any(value.startswith('"') and not value.endswith('"') for value in values)
                hint = "; data.quoting=true if quotes enclose texts with line breaks" if cut else ""
                reason = f"is missing ({len(values)} columns here)" if place.index >= len(values) else "is empty"
                name = names[place.index] if names else place.index
                raise self.columns.without(column, f"column {name!r} {reason}{hint}", where)
            yield row, where

    def _delimiter(self, first_line: str) -> str:
        """The usual delimiter, or the one by which the first line names the selected columns."""
        usual = "," if self.kind == "csv" else "\t"
        if self.columns.by_index or self.header is False or isinstance(self.header, list):
            return usual
        found = (each for each in (usual, *DELIMITERS) if self.columns.named(_cells(first_line, each)))
        return next(found, usual)

    def _hint(self, first_line: str, delimiter: str, quoting: bool) -> str:
        """The option that a first line without the selected columns suggests."""
        if not quoting and first_line.startswith('"'):
            return "; if quotes enclose texts: data.quoting=true"
        cells = len(_cells(first_line, delimiter))
        other = next((each for each in DELIMITERS if each != delimiter and len(_cells(first_line, each)) > cells), None)
        typed = "'\"\\t\"'" if other == "\t" else f"'{other}'"
        return f"; if {DELIMITERS[other]} is between columns: data.delimiter={typed}" if other else ""

    def _check_quotes(self, values: Sequence[str], quoting: bool, where: str) -> None:
        """UserError: quotes that are text show that they enclose it, or the other way round."""
        for value in values:
            if quoting and value[:1] in " \t" and _QUOTES_AFTER_BLANKS.fullmatch(value):
                raise UserError(
                    f"{where}: {value[:40]!r} has blanks before its quotes, which makes them part of the text\n"
                    "remove the blanks after the delimiter, or set data.quoting=false if quotes are part of the text"
                )
            if not quoting and value[:1] == '"' and _DOUBLED_QUOTES.fullmatch(value):
                raise UserError(
                    f"{where}: {value[:40]!r} has doubled quotes inside quotes, as where quotes enclose texts\n"
                    "set data.quoting=true if they do, or data.quoting=false if all quotes are part of the text"
                )
        if not quoting and len(values) > 1 and all(len(value) > 1 and value[0] == value[-1] == '"' for value in values):
            raise UserError(
                f"{where}: all columns are in quotes\n"
                "set data.quoting=true if quotes enclose texts, or data.quoting=false if they are part of the text"
            )


def _cells(line: str, delimiter: str) -> list[str]:
    """The cells of the first line, without blanks around them."""
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []


def _records(text: Iterator[str], delimiter: str, quoting: bool, path: Path, skipped: int, blank: bool) -> Iterator[tuple[list[str], int]]:
    """Rows, and the line in which each begins. skipped: lines before. blank: with the blank rows after the first that is not."""
    quotes: Literal[0, 3] = csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE
    reader: Any = csv.reader(text, delimiter=delimiter, quoting=quotes, strict=True)
    begun = False
    while True:
        line = reader.line_num + 1 + skipped
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            remedy = "close the quote and double the quotes inside it, or set data.quoting=false if quotes are part of the text"
            if "new-line character" in str(error):
                error, remedy = csv.Error("a carriage return inside a line"), "quote the text that has it, or write it as a blank"
            raise UserError(f"{path}, line {line}: {error}\n{remedy}") from None
        if values or (blank and begun):
            begun = True
            yield values, line
