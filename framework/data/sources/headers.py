"""Detection of a header row in a table."""

from collections.abc import Sequence

from framework.data.sources.columns import Columns

SAMPLE_ROWS = 20
_NUMERIC_ROWS = 5  # rows of numbers that make a word above them a column name


def find_header(
    rows: Sequence[Sequence[str]], columns: Columns, header: bool | list[str] | None, where: str
) -> tuple[list[str] | None, bool]:
    """The names of the columns, None if they have no names; and whether the first row is a header.

    rows: the first rows of the file. header: the option data.header: true, false, a list of names (a first row that repeats them is
    skipped), or None to detect it. A table has a header if a column is selected by name. If all are selected by index, the first row is
    a header if it has the format's own column names at these indices, or a word in a column with numbers in all rows below: some files
    of a data set may have a header and others none.
    """
    first = [cell.strip() for cell in rows[0]]
    if isinstance(header, list):
        return header, _folded(first) == _folded(header)
    if header is not None:
        return (first, True) if header else (None, False)
    if not columns.by_index:
        return first, True
    selected = {
        column: [place.index for place in places]
        for column, places in columns.indices(None, len(first), where).items()
        if column in columns.selections
    }
    if all(_folded([first[index] for index in indices]) == [column.casefold()] for column, indices in selected.items()):
        return None, True
    numeric = {index for indices in selected.values() for index in indices if _are_numbers(rows[1:], index)}
    return None, any(not _is_number(first[index]) for index in numeric)


def _folded(names: Sequence[str]) -> list[str]:
    return [name.strip().casefold() for name in names]


def _are_numbers(rows: Sequence[Sequence[str]], index: int) -> bool:
    return len(rows) >= _NUMERIC_ROWS and all(index < len(row) and _is_number(row[index]) for row in rows)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
