"""Mapping of the columns of a file to the columns of a text format."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from framework.data.formats import Format, Row
from framework.errors import UserError
from framework.registry import check_names, nearest

Selection = str | int | list[str | int]  # a value of `data.columns`
_FIELD = re.compile(r"\{([^{}]+)\}")


class Columns:
    """Selects the columns of a text format from the columns of a file: by name, by index (negative from the end), by a list, by a template.

    A list gives a list of the values that a row has, or the value itself if there is one. A template has names in braces:
    "{title}: {body}". A column without a selection has the name that the format gives it. All columns are required, except in rows to
    predict, where those in `format.optional` are not.
    """

    def __init__(self, format: Format, selections: Mapping[str, Selection]):
        self.names = tuple(dict.fromkeys((*format.columns, *format.optional)))
        self.optional = set(format.optional)
        check_names(selections, self.names, f"data.columns: {type(format).__name__} has no column")
        self.selections = dict(selections)
        for column, selection in self.selections.items():
            if selection in ("", []):
                raise UserError(f"data.columns.{column} is empty: set data.columns.{column}=NAME, or an index from 0")
        self.required = set(format.columns) | set(selections)
        # whether all columns are selected by index, so that a file needs no header
        self.by_index = bool(self.required) and all(isinstance(source, int) for column in self.required for source in self.sources(column))

    def sources(self, column: str) -> tuple[str | int, ...]:
        """Names and indices of the file's columns that make a column of the format."""
        selection = self.selections.get(column, column)
        if isinstance(selection, list):
            return tuple(selection)
        if isinstance(selection, str) and (fields := _FIELD.findall(selection)):
            return tuple(int(field) if field.lstrip("-").isdigit() else field for field in fields)
        return (selection,)

    def indices(self, header: Sequence[str] | None, width: int, where: str) -> dict[str, tuple[int, ...]]:
        """column -> indices in the file. header: names of the file's columns, None if it has no header. width: number of its columns."""
        indices: dict[str, tuple[int, ...]] = {}
        for position, column in enumerate(self.names):
            sources = self.sources(column) if header is not None or column in self.selections else (position,)
            present = tuple(index for source in sources if (index := _index(source, header, width)) is not None)
            if present and (len(present) == len(sources) or self._is_list(column)):
                indices[column] = present
            elif column in self.required:
                raise self.no_such_column(column, header, width, where)
        return indices

    def row(self, cells: Sequence[Any], indices: Mapping[str, tuple[int, ...]]) -> Row:
        """The row of a list of cells; columns beyond its end are absent."""
        return self._row({column: [cells[index] for index in present if index < len(cells)] for column, present in indices.items()})

    def pick(self, values: Mapping[str, Any], where: str, convert: Callable[[str, Any], Any] = lambda name, value: value) -> Row:
        """The row of a mapping; the name `a.b` selects from nested mappings. Null values are missing."""
        row = self._row({column: [convert(str(name), nested(values, str(name))) for name in self.sources(column)] for column in self.names})
        if column := self.missing(row):
            if null := next((name for name in map(str, self.sources(column)) if name in values and values[name] in (None, "")), None):
                raise UserError(f"{where}: column {null!r} is {'null' if values[null] is None else 'empty'}; each row needs {column!r}")
            raise self.no_such_column(column, list(map(str, values)), len(values), where, by_index=False)
        return row

    def missing(self, row: Row) -> str | None:
        """The first required column that a row lacks."""
        return next((column for column in self.names if column in self.required and column not in row), None)

    def no_such_column(self, column: str, header: Sequence[str] | None, width: int, where: str, by_index: bool = True) -> UserError:
        """The error for a file without a required column. by_index: whether its columns have indices, as in tables, or names alone."""
        sources = self.sources(column)
        absent = [source for source in sources if _index(source, header, width) is None] or list(sources)
        name = absent[0] if header is not None or column in self.selections else self.names.index(column)
        if header is None or (by_index and isinstance(name, int)):
            index = name if isinstance(name, int) else self.names.index(column)
            hint = "" if header else "; if the first row names the columns: data.header=true"
            return UserError(
                f"{where}: there is no column {index} for {column!r}: columns go from 0 to {width - 1} here\n"
                f"set data.columns.{column}=INDEX{hint}"
            )
        listed = ", ".join(map(repr, header[:12])) + (", ..." if len(header) > 12 else "")
        others = f", nor {', '.join(map(repr, absent[1:]))}" if self._is_list(column) and len(absent) > 1 else ""
        hint = " or an index from 0 (with data.header=false if the first row does not name the columns)" if by_index else ""
        return UserError(
            f"{where}: there is no column {name!r}{others}{nearest(str(name), header)}; there are: {listed}\n"
            f"set data.columns.{column}=NAME{hint}"
        )

    def _is_list(self, column: str) -> bool:
        return isinstance(self.selections.get(column), list)

    def _row(self, values: Mapping[str, Sequence[Any]]) -> Row:
        """The row of the selected values of each column; a column without a value is absent."""
        row: Row = {}
        for column, selected in values.items():
            selection, value = self.selections.get(column), selected[0] if selected else None
            if isinstance(selection, list):
                present = [value for value in selected if value is not None and value != ""]
                value = present[0] if len(present) == 1 else present or None
            elif isinstance(selection, str) and _FIELD.search(selection):
                value = _filled(selection, selected)
            if value is not None:
                row[column] = value
        return row


def _index(source: str | int, header: Sequence[str] | None, width: int) -> int | None:
    if isinstance(source, int):
        return source % width if -width <= source < width else None
    return header.index(source) if header is not None and source in header else None


def _filled(template: str, values: Sequence[Any]) -> str | None:
    """The template with the values in its fields; None if one is missing."""
    if len(values) < len(_FIELD.findall(template)) or any(value is None for value in values):
        return None
    remaining = iter(values)
    return _FIELD.sub(lambda _: str(next(remaining)), template)


def nested(values: Any, name: str) -> Any:
    """values[name], or values[a][b] for the name `a.b`; None if there is none."""
    if not isinstance(values, Mapping):
        return None
    if name in values:
        return values[name]
    first, _, rest = name.partition(".")
    return nested(values.get(first), rest) if rest else None
