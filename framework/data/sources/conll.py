"""CoNLL files: one token a line, its tags in columns beside it, a blank line after each sentence."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, dropwhile
from pathlib import Path

from framework.data.formats import Row
from framework.data.sources.columns import Columns
from framework.data.sources.lines import lines
from framework.data.sources.readers import compiled
from framework.errors import UserError

Line = tuple[int, str]  # its number, and what it says
_BLANKS = re.compile(r"[ \t]+")  # and nothing else: a no-break space may be a token


@dataclass
class Conll:
    """How CoNLL files are read.

    columns: by number. Where none is said, the first column is the first of a line and the second the last of a line.
    delimiter: between columns; None = a tab where the tokens' lines have one, else runs of blanks.
    comment: what a line to skip begins with. None = `#`, before the first token of a sentence, where the number of columns is not
        the sentence's: `# text = ...` is a comment and `#<tab>O` is a token.
    prefix: a regular expression for what stands before every token and is no part of it.
    """

    columns: Columns
    encoding: str
    delimiter: str | None = None
    comment: str | None = None
    prefix: str | None = None

    def __post_init__(self) -> None:
        self._prefix = compiled("prefix", self.prefix or "")

    def read(self, path: Path) -> Iterator[tuple[Row, str]]:
        """Sentences as `{column: [a value for each token]}`, each where its first token stands."""
        sentence: list[Line] = []
        sample = ""
        for number, line in enumerate(chain(lines(path, self.encoding), [""]), 1):
            text = line.rstrip("\r\n")
            if text.strip(" \t") and not text.startswith("-DOCSTART-"):
                if not (self.comment and text.startswith(self.comment)):
                    sentence.append((number, text))
            elif sentence:
                sample = next((text for _, text in sentence if not text.startswith("#")), sample)
                sample = sample or next((text for _, text in sentence if "\t" in text), "")
                if sample:  # else there are only comments yet
                    yield from self._rows(sentence, sample, path)
                sentence = []

    def _rows(self, sentence: Sequence[Line], sample: str, path: Path) -> Iterator[tuple[Row, str]]:
        """The row of a sentence; none where its lines are comments. sample: a line that is none, and shows how lines are made."""
        delimiter = self.delimiter or ("\t" if "\t" in sample else None)
        width = len(_cells(sample, delimiter))
        tokens = [(number, _cells(text, delimiter)) for number, text in sentence]
        if self.comment is None:
            tokens = list(dropwhile(lambda line: line[1][0].startswith("#") and len(line[1]) != width, tokens))
        if not tokens:
            return
        where = f"{path}, line {tokens[0][0]}"
        places = self._places(width, where)
        row: Row = {column: [] for column in places}
        for number, cells in tokens:
            if len(cells) != width:
                between = {None: "blanks", "\t": "a tab"}.get(delimiter, repr(delimiter))
                raise UserError(
                    f"{path}, line {number}: {len(cells)} columns where the sentence has {width}, with {between} between them\n"
                    "another delimiter is said with data.delimiter, lines to skip with data.comment=WHAT_THEY_BEGIN_WITH"
                )
            for column, place in places.items():
                token = self.prefix and column == self.columns.names[0]
                row[column].append(self._without_prefix(cells[place], f"{path}, line {number}") if token else cells[place])
        yield row, where

    def _places(self, width: int, where: str) -> dict[str, int]:
        """column -> number from 0. An optional column may be absent."""
        places: dict[str, int] = {}
        for position, column in enumerate(self.columns.names):
            if column not in self.columns.chosen and position > 1 and column not in self.columns.required:
                continue
            number = self.columns.chosen.get(column, -1 if position == 1 else position)
            if not isinstance(number, int):
                raise UserError(f"data.columns.{column}={number}: the columns of CoNLL files have numbers, 0 is the first and -1 the last")
            if -width <= number < width and number % width not in places.values():
                places[column] = number % width
            elif column in self.columns.required:
                raise UserError(
                    f"{where}: {width} columns, and none for {column!r} (data.columns.{column}={number})\n"
                    f"say which it is: data.columns.{column}=NUMBER, 0 is the first and -1 the last; what stands between: data.delimiter"
                )
        return places

    def _without_prefix(self, token: str, where: str) -> str:
        found = self._prefix.match(token)
        if not found:
            raise UserError(f"{where}: {token!r} does not begin with data.prefix={self.prefix}")
        return token[found.end() :]


def _cells(text: str, delimiter: str | None) -> list[str]:
    return text.split(delimiter) if delimiter else _BLANKS.split(text.strip(" \t"))
