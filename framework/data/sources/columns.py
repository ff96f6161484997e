"""Which column of a file is which column of the format."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from framework.data.formats import Format, Row
from framework.errors import UserError
from framework.registry import check_names, nearest

Chosen = str | int | list[str | int]  # what `data.columns.X` may say
_PLACE = re.compile(r"\{([^{}]+)\}")


class Columns:
    """The columns that a format wants, and where each stands in what is read: a name, a number (from 0; below 0 from the end), or several.

    Several in a list: those that a row has become one value, the list of them (one alone stays what it is). A text with braces
    is filled in: "{title}: {body}". A column that nobody names has the format's own name. All are required; in rows to predict
    the format's `optional` ones are not.
    """

    def __init__(self, format: Format, chosen: Mapping[str, Chosen]):
        self.names = tuple(dict.fromkeys((*format.columns, *format.optional)))
        self.optional = set(format.optional)
        check_names(chosen, self.names, f"data.columns: {type(format).__name__} has no column")
        self.chosen = dict(chosen)
        for column, name in self.chosen.items():
            if name in ("", []):
                raise UserError(f"data.columns.{column} names nothing: data.columns.{column}=NAME, or a number from 0")
        self.required = set(format.columns) | set(chosen)
        # whether every column is given by number, so that no header is needed
        self.numbered = bool(self.required) and all(self._is_numbered(column) for column in self.required)

    def wanted(self, column: str) -> tuple[str | int, ...]:
        """The names and numbers that make a column."""
        name = self.chosen.get(column, column)
        if isinstance(name, list):
            return tuple(name)
        if isinstance(name, str) and (places := _PLACE.findall(name)):
            return tuple(int(place) if place.lstrip("-").isdigit() else place for place in places)
        return (name,)

    def places(self, header: Sequence[str] | None, width: int, where: str) -> dict[str, tuple[int, ...]]:
        """column -> numbers. header: the names in the file; None where it has none. width: columns in the file."""
        places: dict[str, tuple[int, ...]] = {}
        for position, column in enumerate(self.names):
            wanted = self.wanted(column) if header is not None or column in self.chosen else (position,)
            found = tuple(place for name in wanted if (place := _place(name, header, width)) is not None)
            if found and (len(found) == len(wanted) or self._gathers(column)):
                places[column] = found
            elif column in self.required:
                raise self.missing(column, header, width, where)
        return places

    def row(self, cells: Sequence[Any], places: Mapping[str, tuple[int, ...]]) -> Row:
        """The row made of numbered values; columns beyond the last value are left out."""
        return self._made({column: [cells[place] for place in found if place < len(cells)] for column, found in places.items()})

    def pick(self, values: Mapping[str, Any], where: str, convert: Callable[[str, Any], Any] = lambda name, value: value) -> Row:
        """The row made of named values; `a.b` reaches into nested ones. Null counts as missing."""
        row = self._made({column: [convert(str(name), reach(values, str(name))) for name in self.wanted(column)] for column in self.names})
        if column := self.lacking(row):
            if null := next((name for name in map(str, self.wanted(column)) if name in values and values[name] in (None, "")), None):
                raise UserError(f"{where}: column {null!r} is {'null' if values[null] is None else 'empty'}; each row needs {column!r}")
            raise self.missing(column, list(map(str, values)), len(values), where, numbers=False)
        return row

    def missing(self, column: str, header: Sequence[str] | None, width: int, where: str, numbers: bool = True) -> UserError:
        """numbers: whether columns have some, as in tables; in objects they have names alone."""
        wanted = self.wanted(column)
        absent = [name for name in wanted if _place(name, header, width) is None] or list(wanted)
        name = absent[0] if header is not None or column in self.chosen else self.names.index(column)
        if header is None or (numbers and isinstance(name, int)):
            number = name if isinstance(name, int) else self.names.index(column)
            hint = "" if header else "; where the first row names the columns: data.header=true"
            return UserError(
                f"{where}: there is no column {number} for {column!r}: columns go from 0 to {width - 1} here\n"
                f"say which it is: data.columns.{column}=NUMBER{hint}"
            )
        shown = ", ".join(map(repr, header[:12])) + (", ..." if len(header) > 12 else "")
        others = f", nor {', '.join(map(repr, absent[1:]))}" if self._gathers(column) and len(absent) > 1 else ""
        hint = " or a number from 0 (with data.header=false where the first row names nothing)" if numbers else ""
        return UserError(
            f"{where}: there is no column {name!r}{others}{nearest(str(name), header)}; there are: {shown}\n"
            f"say which it is: data.columns.{column}=NAME{hint}"
        )

    def lacking(self, row: Row) -> str | None:
        """The first required column that a row has not."""
        return next((column for column in self.names if column in self.required and column not in row), None)

    def _is_numbered(self, column: str) -> bool:
        return column in self.chosen and all(isinstance(name, int) for name in self.wanted(column))

    def _gathers(self, column: str) -> bool:
        return isinstance(self.chosen.get(column), list)

    def _made(self, values: Mapping[str, Sequence[Any]]) -> Row:
        """Each column's value of the values that make it; a column without one is left out."""
        row: Row = {}
        for column, found in values.items():
            chosen, value = self.chosen.get(column), found[0] if found else None
            if isinstance(chosen, list):
                present = [value for value in found if value is not None and value != ""]
                value = present[0] if len(present) == 1 else present or None
            elif isinstance(chosen, str) and _PLACE.search(chosen):
                value = _filled(chosen, found)
            if value is not None:
                row[column] = value
        return row


def _place(name: str | int, header: Sequence[str] | None, width: int) -> int | None:
    if isinstance(name, int):
        return name % width if -width <= name < width else None
    return header.index(name) if header is not None and name in header else None


def _filled(template: str, values: Sequence[Any]) -> str | None:
    """The template with the values in its places; None where one is missing."""
    if len(values) < len(_PLACE.findall(template)) or any(value is None for value in values):
        return None
    left = iter(values)
    return _PLACE.sub(lambda _: str(next(left)), template)


def reach(values: Any, name: str) -> Any:
    """values[name], or values[a][b] for the name `a.b`; None where there is none."""
    if not isinstance(values, Mapping):
        return None
    if name in values:
        return values[name]
    first, _, rest = name.partition(".")
    return reach(values.get(first), rest) if rest else None
