"""Mapping of the columns of a file to the columns of a text format."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from framework.data.formats import Format, Row
from framework.data.values import REPEATED, checked, text_form
from framework.errors import UserError
from framework.registry import check_names, nearest

Selection = str | int | list[str | int]  # a value of `data.columns`
Cells = Sequence[tuple[str, Any]]  # the selected columns of a file, each with its name
_FIELD = re.compile(r"\{([^{}]+)\}")
FLAGS = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}


@dataclass(frozen=True)
class Place:
    """A selected column of a file: its index, its name, and the path inside its values."""

    index: int
    name: str
    path: str = ""


class NoColumn(UserError):
    """A file has no column of a name that is required."""


class Columns:
    """Selects the columns of a text format from the columns of a file: by name, by index (negative from the end), by a list, by a template.

    A name may have a path into lists and objects: `conversations.0.value`. A list gives a list of the values that a row has, or the value
    itself if there is one; for a column of labels (`Format.label_columns`) it gives the names of the columns that have 1 and not 0. A
    template has names in braces: "{title}: {body}". A column without a selection has the name that the format gives it. All columns are
    required, except in rows to predict, where those in `format.optional` are not.

    join: column -> the text between the texts of a list, which become one text.
    """

    def __init__(self, format: Format, selections: Mapping[str, Selection], join: Mapping[str, str] | None = None):
        self.names = tuple(dict.fromkeys((*format.columns, *format.optional)))
        self.optional = set(format.optional)
        check_names(selections, self.names, f"data.columns: {type(format).__name__} has no column")
        check_names(join or {}, self.names, f"data.join: {type(format).__name__} has no column")
        self.selections, self.join = dict(selections), dict(join or {})
        for column, selection in self.selections.items():
            if selection in ("", []):
                raise UserError(f"data.columns.{column} is empty: set data.columns.{column}=NAME, or an index from 0")
        self.required = set(format.columns) | set(selections)
        self.keeps_blank = False  # whether rows may lack required columns, as rows to predict may: each gets an answer
        self._seen: set[str] = set()  # columns that a row had
        self.flags = {column for column in format.label_columns if self._is_list(column)}
        # whether all columns are selected by index, so that a file needs no header; columns of flags need their names
        self.by_index = bool(self.required) and not self.flags and all(self._is_by_index(column) for column in self.required)

    def sources(self, column: str) -> tuple[str | int, ...]:
        """Names and indices of the file's columns that make a column of the format."""
        selection = self.selections.get(column, column)
        if isinstance(selection, list):
            return tuple(selection)
        if isinstance(selection, str) and (fields := _FIELD.findall(selection)):
            return tuple(int(field) if field.lstrip("-").isdigit() else field for field in fields)
        return (selection,)

    def indices(self, header: Sequence[str] | None, width: int, where: str, nested: bool = False) -> dict[str, tuple[Place, ...]]:
        """column -> places in the file. header: names of the file's columns, None if it has no header. width: number of its columns.
        nested: whether values may be lists and objects, into which names have a path. UserError: a required column is missing, or two
        columns have its name."""
        indices: dict[str, tuple[Place, ...]] = {}
        for position, column in enumerate(self.names):
            if column in self.flags and header is None:
                raise UserError(
                    f"{where}: data.columns.{column}=[...] are columns named as labels: set data.header=true, or data.header=[NAMES]"
                )
            sources = self.sources(column) if header is not None or column in self.selections else (position,)
            present = tuple(place for source in sources if (place := _place(source, header, width, nested)) is not None)
            for place in present if header is not None else ():
                self._check_name(column, header or (), place, where)
            if present and (len(present) == len(sources) or (self._is_list(column) and column not in self.flags)):
                indices[column] = present
            elif column in self.required or (present and column in self.flags):
                raise self.no_such_column(column, header, width, where)
        return indices

    def row(self, cells: Sequence[Any], indices: Mapping[str, tuple[Place, ...]], where: str) -> Row:
        """The row of a list of cells; columns beyond its end are absent."""
        return self._row(
            {
                column: [
                    (place.name, nested(cells[place.index], place.path) if place.path else cells[place.index])
                    for place in present
                    if place.index < len(cells)
                ]
                for column, present in indices.items()
            },
            where,
        )

    def pick(self, values: Mapping[str, Any], where: str, convert: Callable[[str, Any], Any] = lambda name, value: value) -> Row:
        """The row of a mapping; the name `a.0.b` selects from nested mappings and lists. Null values are missing."""
        names = {column: list(map(str, self.sources(column))) for column in self.names}
        row = self._row({column: [(name, convert(name, nested(values, name))) for name in each] for column, each in names.items()}, where)
        self._seen.update(row)
        if (column := self._lacking(row)) and not (self.keeps_blank and column in self._seen):
            if null := next((name for name in names[column] if name in values and checked(values[name]) in (None, "")), None):
                if self.keeps_blank:
                    return row
                raise self.without(column, f"column {null!r} is {nothing(values[null])}", where)
            raise self.no_such_column(column, list(map(str, values)), len(values), where, by_index=False)
        return row

    def missing(self, row: Row) -> str | None:
        """The first required column that a row lacks; None where rows may lack them."""
        return None if self.keeps_blank else self._lacking(row)

    def _lacking(self, row: Row) -> str | None:
        return next((column for column in self.names if column in self.required and column not in row), None)

    def without(self, column: str, reason: str, where: str) -> UserError:
        """The error for a row without a required column."""
        return UserError(f"{where}: {reason}; each row needs {column!r}: write it, or remove the row")

    def named(self, header: Sequence[str]) -> bool:
        """Whether a header has all columns that are required and selected by name."""
        wanted = [source for column in self.required for source in self.sources(column) if isinstance(source, str)]
        lists = [set(self.sources(column)) for column in self.required if self._is_list(column)]
        return all(name in header or any(name in each and each & set(header) for each in lists) for name in wanted)

    def no_such_column(self, column: str, header: Sequence[str] | None, width: int, where: str, by_index: bool = True) -> UserError:
        """The error for a file without a required column. by_index: whether its columns have indices, as in tables, or names alone."""
        sources = self.sources(column)
        absent = [source for source in sources if _place(source, header, width, False) is None] or list(sources)
        name = absent[0] if header is not None or column in self.selections else self.names.index(column)
        if header is None or (by_index and isinstance(name, int)):
            index = name if isinstance(name, int) else self.names.index(column)
            hint = "" if header else "; if the first row names the columns: data.header=true"
            return NoColumn(
                f"{where}: there is no column {index} for {column!r}: columns go from 0 to {width - 1} here\n"
                f"set data.columns.{column}=INDEX{hint}"
            )
        listed = (", ".join(map(repr, header[:12])) or "none") + (", ..." if len(header) > 12 else "")
        others = f", nor {', '.join(map(repr, absent[1:]))}" if self._is_list(column) and len(absent) > 1 else ""
        hint = " or an index from 0 (with data.header=false if the first row does not name the columns)" if by_index else ""
        return NoColumn(
            f"{where}: there is no column {name!r}{others}{nearest(str(name), header)}; there are: {listed}\n"
            f"set data.columns.{column}=NAME{hint}"
        )

    def _check_name(self, column: str, header: Sequence[str], place: Place, where: str) -> None:
        """UserError: several columns have the name by which one is selected."""
        same = [index for index, name in enumerate(header) if name == header[place.index]]
        if len(same) > 1 and not {place.index, place.index - len(header)} & set(self.sources(column)):
            raise UserError(
                f"{where}: {len(same)} columns are named {header[place.index]!r}, those of index {' and '.join(map(str, same))}\n"
                f"set data.columns.{column}=INDEX, for example data.columns.{column}={same[0]}"
            )

    def _is_by_index(self, column: str) -> bool:
        return column in self.selections and all(isinstance(source, int) for source in self.sources(column))

    def _is_list(self, column: str) -> bool:
        return isinstance(self.selections.get(column), list)

    def _row(self, selected: Mapping[str, Cells], where: str) -> Row:
        """The row of the selected cells of each column; a column without a value is absent."""
        row: Row = {}
        for column, cells in selected.items():
            values = []
            for name, value in cells:
                try:
                    values.append(checked(value))
                except ValueError as error:
                    raise UserError(f"{where}: column {name!r} {error}; data.columns.{column}=NAME takes another column") from None
            value = self._value(column, [name for name, _ in cells], values, where)
            if value is not None:
                row[column] = value
        return row

    def _value(self, column: str, names: Sequence[str], values: Sequence[Any], where: str) -> Any:
        """The value of a column, from those that are selected for it; None = it has none."""
        selection = self.selections.get(column)
        value = values[0] if values else None
        if column in self.flags:
            return self._flagged(column, names, values, where)
        if isinstance(selection, list):
            present = [value for value in values if value is not None and value != ""]
            value = present[0] if len(present) == 1 else present or None
        elif isinstance(selection, str) and len(fields := _FIELD.findall(selection)):
            if len(values) < len(fields) or any(value is None for value in values):
                return None
            filled = (self._text(column, name, value, where) for name, value in zip(names, values, strict=True))
            return _FIELD.sub(lambda _: next(filled), selection)
        return self._text(column, names[0], value, where) if column in self.join and isinstance(value, list) else value

    def _text(self, column: str, name: str, value: Any, where: str) -> str:
        """A value as part of a text, the texts of a list joined."""
        separator = self.join.get(column)
        try:
            if isinstance(value, list) and separator is not None:
                return separator.join(map(text_form, value))
            return text_form(value)
        except ValueError as error:
            kind = f"; data.join.{column}=' ' joins the texts of a list" if isinstance(value, list) and separator is None else ""
            inside = (
                "; a part of a list or object is selected by its path, as in messages.0.content" if isinstance(value, (list, dict)) else ""
            )
            raise UserError(f"{where}: column {name!r} {error}{kind}{inside}") from None

    def _flagged(self, column: str, names: Sequence[str], values: Sequence[Any], where: str) -> list[str] | None:
        """The names of the columns that have 1; None = no column has a value."""
        if all(value is None or value == "" for value in values):
            return None
        flags = [FLAGS.get(text_form(value).strip().lower()) if isinstance(value, (str, int, float)) else None for value in values]
        for name, flag, value in zip(names, flags, values, strict=True):
            if flag is None:
                raise UserError(
                    f"{where}: column {name!r} is {nothing(value) or repr(value)[:40]}; with data.columns.{column}=[...] each column is "
                    f"a label, and has 0 or 1\nfor labels that are values of several columns: data.columns.{column}='{{ONE}},{{OTHER}}'"
                )
        return [name for name, flag in zip(names, flags, strict=True) if flag]


def nothing(value: Any) -> str:
    """The name of an absent value in messages (null, empty, NaN); "" for all other values."""
    return "null" if value is None else "empty" if value == "" else "NaN" if value != value else ""


def _place(source: str | int, header: Sequence[str] | None, width: int, nested: bool) -> Place | None:
    if isinstance(source, int):
        index = source % width if -width <= source < width else None
        return None if index is None else Place(index, header[index] if header and index < len(header) else str(source))
    if header is None:
        return None
    if source in header:
        return Place(header.index(source), source)
    first, _, path = source.partition(".")
    return Place(header.index(first), source, path) if nested and path and first in header else None


def nested(value: Any, name: str) -> Any:
    """value[name], or the value at the path a, 0, b for the name `a.0.b` (index -1 is the last of a list); None if there is none."""
    if value is REPEATED:
        return value
    if isinstance(value, Mapping) and name in value:
        return value[name]
    first, _, rest = name.partition(".")
    if isinstance(value, Mapping):
        return nested(value[first], rest) if rest and first in value else None
    if isinstance(value, (list, tuple)) and first.lstrip("-").isdecimal() and -len(value) <= int(first) < len(value):
        return nested(value[int(first)], rest) if rest else value[int(first)]
    return None
