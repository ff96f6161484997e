"""Columns of 0 and 1 beside a column of labels that has 0 and 1 too."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from framework.data.formats import Format, Row
from framework.data.sources.columns import FLAGS, Columns, Place
from framework.errors import UserError

ROWS = 1000  # that are looked at


class AllColumns(Columns):
    """Every column of a file whose values are texts, numbers or booleans, by its own name."""

    def indices(self, header: Sequence[str] | None, width: int, where: str, nested: bool = False) -> dict[str, tuple[Place, ...]]:
        return {name: (Place(index, name),) for index, name in enumerate(header or ())}

    def row(self, cells: Sequence[Any], indices: Mapping[str, tuple[Place, ...]], where: str) -> Row:
        return {name: cells[place.index] for name, (place,) in indices.items() if place.index < len(cells)}

    def pick(self, values: Mapping[str, Any], where: str, convert: Any = None) -> Row:
        return dict(values)

    def missing(self, row: Row) -> str | None:
        return None


def flags_beside(columns: Columns, format: Format, read: Callable[[Columns], Iterator[tuple[Row, str]]]) -> Iterator[str]:
    """A note for each column of labels that has only 0 and 1 as other columns do: a column for each label, of which one alone is read.

    read: the rows of a file by other columns.
    """
    for column in format.label_columns:
        selected = columns.selections.get(column, column)
        if not isinstance(selected, str):
            continue
        flags: list[str] | None = None
        try:
            for row, _ in islice(read(AllColumns(format, columns.selections)), ROWS):
                flags = [name for name in (row if flags is None else flags) if str(row.get(name)).strip().lower() in FLAGS]
        except UserError:  # a column that nobody reads
            continue
        if flags and selected in flags and len(flags) > 1:
            others = [name for name in flags if name != selected]
            yield (
                f"{selected!r} has only 0 and 1, as {', '.join(map(repr, others[:8]))}; if each column is a label: "
                f"task/target=labels 'data.columns.{column}=[{','.join(flags)}]'"
            )
