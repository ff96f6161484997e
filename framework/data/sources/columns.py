"""Which column of a file is which column of the format."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from framework.data.formats import Format, Row
from framework.errors import UserError
from framework.registry import check_names, nearest


class Columns:
    """The columns that a format wants, and the name or number (from 0) each has where the rows are read.

    A column that nobody names has the format's own name. All are required; in rows to predict the format's `optional` ones are not.
    """

    def __init__(self, format: Format, chosen: Mapping[str, str | int]):
        self.names = tuple(dict.fromkeys((*format.columns, *format.optional)))
        self.optional = set(format.optional)
        check_names(chosen, self.names, f"data.columns: {type(format).__name__} has no column")
        self.chosen = dict(chosen)
        self.required = set(format.columns) | set(chosen)

    @property
    def numbered(self) -> bool:
        """Whether every required column is given by number, so that no header is needed."""
        return bool(self.required) and all(isinstance(self.chosen.get(name), int) for name in self.required)

    def name(self, column: str) -> str | int:
        return self.chosen.get(column, column)

    def places(self, header: Sequence[str] | None, width: int, where: str) -> dict[str, int]:
        """column -> number. header: the names in the file; None where it has none. width: columns in the file."""
        places: dict[str, int] = {}
        for position, column in enumerate(self.names):
            name = self.chosen.get(column, column if header is not None else position)
            if isinstance(name, int) and 0 <= name < width:
                places[column] = name
            elif header is not None and name in header:
                places[column] = header.index(str(name))
            elif column in self.required:
                raise self.missing(column, header, width, where)
        return places

    def missing(self, column: str, header: Sequence[str] | None, width: int, where: str) -> UserError:
        name = self.name(column)
        if isinstance(name, int) or header is None:
            number = name if isinstance(name, int) else self.names.index(column)
            hint = "" if header else "; where the first row names the columns: data.header=true"
            return UserError(
                f"{where}: there is no column {number} for {column!r}: columns go from 0 to {width - 1} here\n"
                f"say which it is: data.columns.{column}=NUMBER{hint}"
            )
        shown = ", ".join(map(repr, header[:12])) + (", ..." if len(header) > 12 else "")
        return UserError(
            f"{where}: there is no column {name!r}{nearest(str(name), header)}; there are: {shown}\n"
            f"say which it is: data.columns.{column}=NAME or a number from 0 (with data.header=false where the first row names nothing)"
        )

    def lacking(self, row: Row) -> str | None:
        """The first required column that a row has not."""
        return next((column for column in self.names if column in self.required and column not in row), None)

    def pick(self, values: Mapping[str, Any], where: str, convert: Callable[[str, Any], Any] = lambda name, value: value) -> Row:
        """The row made of named values; `a.b` reaches into nested ones. Null counts as missing."""
        row: Row = {}
        for column in self.names:
            name = str(self.name(column))
            value = convert(name, reach(values, name))
            if value is not None:
                row[column] = value
            elif column in self.required:
                raise self.missing(column, list(map(str, values)), len(values), where)
        return row


def reach(values: Any, name: str) -> Any:
    """values[name], or values[a][b] for the name `a.b`; None where there is none."""
    if not isinstance(values, Mapping):
        return None
    if name in values:
        return values[name]
    first, _, rest = name.partition(".")
    return reach(values.get(first), rest) if rest else None
