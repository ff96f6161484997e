"""Labels of a run and how often each split has them, as a table and as remarks about them."""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from framework.errors import UserError
from framework.utils.files import write_text
from framework.utils.json_files import read_bytes

Counts = Mapping[str, Mapping[str, int]]  # split -> label -> how often it occurs


def write_labels(path: Path, counts: Counts) -> None:
    """Writes a row for each label, with a column for each split."""
    written = io.StringIO()
    rows = [[label, *(counts[split].get(label, 0) for split in counts)] for label in all_labels(counts)]
    csv.writer(written, lineterminator="\n").writerows([["label", *counts], *rows])
    write_text(path, written.getvalue())


def read_labels(path: Path) -> dict[str, dict[str, int]]:
    """The counts of such a file; a label without a count in a split is left out there. UserError: it is damaged."""
    try:
        header, *rows = csv.reader(io.StringIO(read_bytes(path).decode("utf-8"), newline=""))
        counts = {split: {row[0]: int(row[place]) for row in rows} for place, split in enumerate(header) if place}
    except (ValueError, IndexError, csv.Error) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is damaged: {error}") from None
    return {split: {label: count for label, count in labels.items() if count} for split, labels in counts.items()}


def all_labels(counts: Counts) -> list[str]:
    return sorted({label for each in counts.values() for label in each})


def unseen(counts: Counts) -> dict[str, list[str]]:
    """split -> its labels that the training rows lack."""
    if "train" not in counts:
        return {}
    missing = {split: [label for label in labels if label not in counts["train"]] for split, labels in counts.items()}
    return {split: labels for split, labels in missing.items() if labels}


def alike(counts: Counts) -> list[list[str]]:
    """Groups of labels that differ by blanks or case alone."""
    groups: dict[str, list[str]] = {}
    for label in all_labels(counts):
        groups.setdefault("".join(label.split()).casefold(), []).append(label)
    return [labels for labels in groups.values() if len(labels) > 1]


def label_remarks(counts: Counts, most: int = 12) -> Iterator[str]:
    """Sentences about labels that are only in validation or test, and about those that differ by blanks or case alone."""
    for split, labels in unseen(counts).items():
        rows = sum(counts[split][label] for label in labels)
        times = "once" if rows == 1 else f"{rows:,} times"
        yield (
            f"{split} has labels that the training rows lack, {times}: {listed(labels, most)}; "
            "each is counted as an error of the model (task.format.unseen_labels=refuse refuses them)"
        )
    for labels in alike(counts):
        shown = ", ".join(f"{label!r} ({sum(each.get(label, 0) for each in counts.values()):,})" for label in labels)
        yield f"labels that differ by blanks or case alone: {shown}"


def listed(names: list[str], most: int) -> str:
    text = ", ".join(map(repr, names[:most]))
    return f"{text} and {len(names) - most:,} more" if len(names) > most else text
