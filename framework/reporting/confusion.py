"""The confusion matrix that a task writes beside its predictions, confusion.csv: counts of each reference label and predicted label."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from framework.errors import UserError
from framework.reporting.drawing import SHADES, Picture, picture, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONFUSION, LABELS = "confusion.csv", "report.csv"
_MOST = 40  # labels of a picture; the most frequent ones
_WRITTEN = 20  # labels up to which the counts are written into the cells


@dataclass(frozen=True)
class Confusion:
    """counts: of each reference label, a row, and predicted label, a column."""

    labels: list[str]
    counts: list[list[int]]


def read_table(path: Path) -> list[list[str]]:
    """The rows of a CSV file with its header, all of one length; none where there is no such file. UserError: it is damaged."""
    if not path.is_file():
        return []
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is damaged: {error}") from None
    if not rows or any(len(row) != len(rows[0]) for row in rows):
        raise UserError(f"{path} is damaged: its rows have different numbers of cells")
    return rows


def read_confusion(folder: Path) -> Confusion | None:
    """The matrix in a run's folder; None where its task has none. UserError: the file is damaged."""
    table = read_table(folder / CONFUSION)
    if not table:
        return None
    try:
        found = Confusion(table[0][1:], [[int(cell) for cell in row[1:]] for row in table[1:]])
    except ValueError as error:
        raise UserError(f"{folder / CONFUSION} is damaged: {error}") from None
    if [row[0] for row in table[1:]] != found.labels:
        raise UserError(f"{folder / CONFUSION} is damaged: its rows and columns are not the same labels")
    return found


def most_frequent(found: Confusion, most: int = _MOST) -> Confusion:
    """The matrix of the most frequent reference labels, in their order."""
    if len(found.labels) <= most:
        return found
    places = sorted(sorted(range(len(found.labels)), key=lambda place: -sum(found.counts[place]))[:most])
    return Confusion([found.labels[place] for place in places], [[found.counts[row][place] for place in places] for row in places])


def confusion_picture(whole: Confusion) -> Picture:
    """Shares of each reference label, with the counts where there is room for them."""
    found = most_frequent(whole)
    size = len(found.labels)
    shares = [[count / max(1, sum(row)) for count in row] for row in found.counts]

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot(1, 1, 1)
        image = axes.imshow(shares, cmap=SHADES, vmin=0, vmax=1, aspect="equal" if size > 4 else "auto")
        axes.set_xticks(range(size), [short(label, 16) for label in found.labels], rotation=0 if _narrow(found.labels) else 90)
        axes.set_yticks(range(size), [short(label, 16) for label in found.labels])
        axes.set_xlabel("predicted")
        axes.set_ylabel("reference")
        axes.tick_params(length=0)
        if size <= _WRITTEN:
            for row, counts in enumerate(found.counts):
                for column, count in enumerate(counts):
                    colour = "#000000" if shares[row][column] > 0.5 else "#ffffff"
                    axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=8 if size <= 12 else 6)
        figure.colorbar(image, ax=axes, label="share of the reference label", shrink=0.8)

    more = f" The {size} most frequent of {len(whole.labels)} labels." if size < len(whole.labels) else ""
    side = min(7.5, 2.2 + 0.42 * size)
    caption = f"Confusion matrix of the predicted rows: counts, shaded by the share of the reference label.{more}"
    return picture("confusion", caption, side, draw, width=min(7.2, side + 1.2))


def _narrow(labels: Sequence[str]) -> bool:
    return len(labels) <= 8 and max(map(len, labels)) <= 6
