"""Tables of text: for the terminal, Markdown and CSV."""

import csv
import io
from collections.abc import Sequence

Row = Sequence[str]


def terminal(head: Row, rows: Sequence[Row], texts: int = 0) -> list[str]:
    """Lines of columns. texts: how many columns, from the first, are texts, which begin on the left; the others are numbers."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return [
        "  ".join(
            f"{cell:<{width}}" if place < texts else f"{cell:>{width}}" for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    ]


def markdown(head: Row, rows: Sequence[Row], texts: int = 0) -> list[str]:
    """A table of Markdown. texts: as in `terminal`."""
    rule = ["---" if place < texts else "---:" for place in range(len(head))]
    cells = [[cell.strip().replace("|", "\\|") for cell in row] for row in (head, rule, *rows)]
    return [f"| {' | '.join(row)} |" for row in cells]


def comma_separated(head: Row, rows: Sequence[Row]) -> str:
    """CSV, with a header."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue()
