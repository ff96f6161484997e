"""Readers of files by kind; each yields rows with their places."""

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from framework.data.sources.base import LocatedRow
from framework.data.sources.columns import Columns
from framework.data.sources.lines import lines
from framework.errors import UserError

_MARKUP = re.compile(r"\s*<[?!/]?[A-Za-z][^<>]*>\s*")
_TAG = re.compile(
    r"\s*</?(doc|seg|[srt]\w{2}set|mteval|talkid|url|title|description|keywords|reviewer|translator|chapter|speaker|hl|p)\b[^<>]*>",
    re.IGNORECASE,
)


def read_text(
    path: Path, column: str, encoding: str | None, unit: Literal["line", "paragraph", "file"], running: bool
) -> Iterator[LocatedRow]:
    """Plain text. running: the rows in sequence are the whole file; otherwise blank lines and line ends are removed."""
    for text, line in _units(path, encoding, unit):
        if running or text.strip():
            yield {column: text if running else text.strip("\r\n")}, f"{path}, line {line}"


def read_typed(path: Path, encoding: str | None, unit: Literal["line", "paragraph", "file"]) -> Iterator[tuple[str, str]]:
    """Plain text as typed texts to predict, each with its place; a blank line is a blank text."""
    for text, line in _units(path, encoding, unit):
        yield text.strip("\r\n"), f"{path}, line {line}"


def _units(path: Path, encoding: str | None, unit: Literal["line", "paragraph", "file"]) -> Iterator[tuple[str, int]]:
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


def read_pattern(path: Path, columns: Columns, encoding: str | None, pattern: str, skip: bool = False) -> Iterator[LocatedRow]:
    """Lines of plain text, split into columns by the named groups of a regular expression. skip: leave out lines that do not match."""
    expression = compiled("pattern", pattern)
    groups = list(expression.groupindex)
    columns.indices(groups, len(groups), f"data.pattern={pattern}")
    for number, line in enumerate(lines(path, encoding), 1):
        text, where = line.rstrip("\r\n"), f"{path}, line {number}"
        if not text:
            if columns.keeps_blank:
                yield {}, where
            continue
        match = expression.fullmatch(text)
        if match is None and skip:
            continue
        if match is None:
            raise UserError(f"{where}: {text[:60]!r} does not match data.pattern={pattern}\ndata.unmatched=skip leaves such lines out")
        yield columns.pick(match.groupdict(), where), where


def unmatched(path: Path, encoding: str | None, pattern: str) -> tuple[int, int]:
    """The number of lines that do not match a regular expression, and of all lines; blank ones are not counted."""
    expression = compiled("pattern", pattern)
    matches = [expression.fullmatch(text) is not None for line in lines(path, encoding) if (text := line.rstrip("\r\n"))]
    return matches.count(False), len(matches)


def compiled(option: str, pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UserError(f"data.{option}={pattern}: not a regular expression: {error}") from None


def read_parallel(paths: Sequence[Path], columns: Columns, encoding: str | None, check_markup: bool) -> Iterator[LocatedRow]:
    """Parallel text: line N of all files is row N; the files are the columns, in their order. check_markup: refuse files of XML."""
    listed = " and ".join(map(str, paths))
    indices = columns.indices(None, len(paths), listed)
    read = {place.index for places in indices.values() for place in places}
    if unread := [str(path) for index, path in enumerate(paths) if index not in read and not columns.selections]:
        raise UserError(
            f"{', '.join(unread)}: parallel text has one file for each of {', '.join(indices)}, and no column takes this one\n"
            "set data.columns.COLUMN=INDEX of its file in the list, or join the files of a column"
        )
    files = [_without_markup(path, encoding) if check_markup else lines(path, encoding) for path in paths]
    for number, texts in enumerate(zip_longest(*files), 1):
        if None in texts:
            lengths = [number - (text is None) + sum(1 for _ in file) for text, file in zip(texts, files, strict=True)]
            listed = ", ".join(f"{path} has {length}" for path, length in zip(paths, lengths, strict=True))
            raise UserError(f"parallel files must have the same number of lines, and {listed}")
        where = f"{paths[0]}, line {number}"
        yield columns.row([text.rstrip("\r\n") for text in texts], indices, where), where


def _without_markup(path: Path, encoding: str | None) -> Iterator[str]:
    """Lines of plain text. UserError: the first one is a tag, or another one is a tag of the files of WMT, IWSLT and Europarl."""
    begun = False
    for number, line in enumerate(lines(path, encoding), 1):
        if line.lstrip().startswith("<") and (_TAG.match(line) or (not begun and _MARKUP.fullmatch(line))):
            raise UserError(
                f"{path}, line {number}: {line.strip()[:60]!r} is markup, no plain text\n"
                "take the texts out, one a line: sed -n 's/.*<seg[^>]*>\\(.*\\)<.seg>.*/\\1/p' FILE > NEW, or grep -v '^ *<' FILE > NEW\n"
                "or set data.kind=parallel to read the lines as they are"
            )
        begun = begun or bool(line.strip())
        yield line
