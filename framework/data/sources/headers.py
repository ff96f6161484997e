"""Whether the first row of a table names the columns."""

from collections.abc import Sequence

from framework.data.sources.columns import Columns

ROWS_TO_LOOK_AT = 20
_ENOUGH = 5  # rows of numbers that make a word above them a name


def find_header(
    rows: Sequence[Sequence[str]], columns: Columns, header: bool | list[str] | None, where: str
) -> tuple[list[str] | None, bool]:
    """The names of the columns, None where nobody says them; and whether the first row is no row of data.

    rows: the first ones of the file. header: what the user says: yes, no, the names themselves (a first row that repeats them is
    skipped), or nothing. Then a table whose columns are asked for by name has a header. Where numbers ask, it is a header that says
    the task's own names in their places, or that has words in a column where all rows below have numbers: some files of a data set
    have a header and some have none.
    """
    first = [cell.strip() for cell in rows[0]]
    if isinstance(header, list):
        return header, _folded(first) == _folded(header)
    if header is not None:
        return (first, True) if header else (None, False)
    if not columns.numbered:
        return first, True
    asked = {column: places for column, places in columns.places(None, len(first), where).items() if column in columns.chosen}
    if all(_folded([first[place] for place in places]) == [column.casefold()] for column, places in asked.items()):
        return None, True
    numbers = {place for places in asked.values() for place in places if _are_numbers(rows[1:], place)}
    return None, any(not _is_number(first[place]) for place in numbers)


def _folded(names: Sequence[str]) -> list[str]:
    return [name.strip().casefold() for name in names]


def _are_numbers(rows: Sequence[Sequence[str]], place: int) -> bool:
    return len(rows) >= _ENOUGH and all(place < len(row) and _is_number(row[place]) for row in rows)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
