"""CoNLL files: one token a line, with its tags in further columns, and a blank line after each sentence."""

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

Line = tuple[int, str]  # number and text
_BLANKS = re.compile(r"[ \t]+")  # not \\s, because a no-break space may be a token
_TAG = re.compile(r"O|[BIESMLUW]-.+")


@dataclass
class Conll:
    """Reader of CoNLL files.

    columns: selected by index; by default the format's first column is the first of a line and its second the last of a line.
    delimiter: between columns; None = a tab if the lines of tokens have one, else runs of blanks. Delimiters at the end of a line are none.
    comment: prefix of lines to skip; "" = none. None = `#`, before the first token of a sentence, if the line has not as many columns as
        the sentence, or no tag where the other lines have one: `# text = ...` is a comment and `#<tab>O` is a token.
    prefix: a regular expression that is removed from the start of every token.
    """

    columns: Columns
    encoding: str | None
    delimiter: str | None = None
    comment: str | None = None
    prefix: str | None = None

    def __post_init__(self) -> None:
        self._prefix = compiled("prefix", self.prefix or "")

    def read(self, path: Path) -> Iterator[tuple[Row, str]]:
        """Iterate over sentences, as `{column: [one value a token]}` with the place of the first token."""
        sentence: list[Line] = []
        sample = ""
        for number, line in enumerate(chain(lines(path, self.encoding), [""]), 1):
            text = line.rstrip("\r\n")
            if text.strip(" \t") and not text.startswith("-DOCSTART-"):
                if not (self.comment and text.startswith(self.comment)):
                    sentence.append((number, text))
            elif sentence:
                sample = sample or next((text for _, text in sentence if not text.startswith("#")), "")
                sample = sample or next((text for _, text in sentence if "\t" in text), "")
                if sample:  # otherwise all lines so far are comments
                    yield from self._rows(sentence, sample, path)
                sentence = []

    def _rows(self, sentence: Sequence[Line], sample: str, path: Path) -> Iterator[tuple[Row, str]]:
        """The row of a sentence; nothing if all its lines are comments. sample: the first line with a token, which shows delimiter and
        columns of all sentences."""
        delimiter = self.delimiter or ("\t" if "\t" in sample else None)
        width = len(_cells(sample, delimiter))
        tokens = [(number, _cells(text, delimiter)) for number, text in sentence]
        if self.comment is None:
            tokens = self._without_comments(tokens, width, path)
        if not tokens:
            return
        where = f"{path}, line {tokens[0][0]}"
        indices = self._indices(width, where)
        row: Row = {column: [] for column in indices}
        for number, cells in tokens:
            if len(cells) != width:
                between = {None: "blanks", "\t": "a tab"}.get(delimiter, repr(delimiter))
                raise UserError(
                    f"{path}, line {number}: {len(cells)} columns where the first sentence has {width}, with {between} between them\n"
                    "set data.delimiter, or data.comment=PREFIX of the lines to skip"
                )
            for column, index in indices.items():
                is_token = self.prefix and column == self.columns.names[0]
                row[column].append(self._without_prefix(cells[index], f"{path}, line {number}") if is_token else cells[index])
        yield row, where

    def _without_comments(self, tokens: list[tuple[int, list[str]]], width: int, path: Path) -> list[tuple[int, list[str]]]:
        """The lines from the first token. UserError: a line may be a comment or a token."""
        tag = self.columns.selections.get(self.columns.names[1] if len(self.columns.names) > 1 else "", -1)
        at = tag if isinstance(tag, int) and -width <= tag < width else -1
        tagged = any(_TAG.fullmatch(cells[at]) for _, cells in tokens if len(cells) == width and not cells[0].startswith("#"))

        def is_comment(line: tuple[int, list[str]]) -> bool:
            number, cells = line
            if not cells[0].startswith("#") or len(cells) != width:
                return cells[0].startswith("#")
            if width == 1 or _TAG.fullmatch(cells[at]):
                return False
            if tagged:
                return True
            raise UserError(
                f"{path}, line {number}: {' '.join(cells)[:40]!r} may be a comment or a token\n"
                "set data.comment='#' to skip such lines, or data.comment='' if they are tokens"
            )

        return list(dropwhile(is_comment, tokens))

    def _indices(self, width: int, where: str) -> dict[str, int]:
        """column -> index from 0. An optional column may be absent."""
        indices: dict[str, int] = {}
        for position, column in enumerate(self.columns.names):
            if column not in self.columns.selections and position > 1 and column not in self.columns.required:
                continue
            index = self.columns.selections.get(column, -1 if position == 1 else position)
            if not isinstance(index, int):
                raise UserError(f"data.columns.{column}={index} must be an index in CoNLL files: 0 is the first column and -1 the last")
            if -width <= index < width and index % width not in indices.values():
                indices[column] = index % width
            elif column in self.columns.required:
                raise UserError(
                    f"{where}: {width} columns, and none for {column!r} (data.columns.{column}={index})\n"
                    f"set data.columns.{column}=INDEX (0 is the first, -1 the last), or data.delimiter"
                )
        return indices

    def _without_prefix(self, token: str, where: str) -> str:
        match = self._prefix.match(token)
        if not match:
            raise UserError(f"{where}: {token!r} does not begin with data.prefix={self.prefix}")
        return token[match.end() :]


def _cells(text: str, delimiter: str | None) -> list[str]:
    return text.rstrip(delimiter).split(delimiter) if delimiter else _BLANKS.split(text.strip(" \t"))
