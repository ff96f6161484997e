"""Tables of the test rows, as CSV: the confusion matrix, and metrics of each label."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any


def confusion(pairs: Iterable[tuple[str, str]], labels: Sequence[str]) -> str:
    """Counts of each reference label (row) and predicted label (column). pairs: (reference, predicted)."""
    counts = Counter(pairs)
    table = [[reference, *(counts[reference, predicted] for predicted in labels)] for reference in labels]
    return _csv([["reference", *labels], *table])


def per_label(pairs: Sequence[tuple[set[str], set[str]]], labels: Sequence[str]) -> str:
    """Precision, recall, F1 and number of rows of each label; a ratio of zeros is left empty. pairs: (reference, predicted)."""
    right = Counter(label for true, predicted in pairs for label in true & predicted)
    true, predicted = (Counter(label for pair in pairs for label in pair[side]) for side in (0, 1))
    table: list[list[Any]] = [["label", "precision", "recall", "f1", "rows"]]
    for label in labels:
        precision, recall = _ratio(right[label], predicted[label]), _ratio(right[label], true[label])
        table.append([label, precision, recall, _ratio(2 * right[label], predicted[label] + true[label]), true[label]])
    return _csv(table)


def with_unseen(labels: Sequence[str], references: Iterable[str]) -> list[str]:
    """The labels of the training rows, then those that only the references have."""
    return [*labels, *sorted(set(references) - set(labels))]


def _ratio(part: int, whole: int) -> str:
    return f"{part / whole:.4f}" if whole else ""


def _csv(table: Iterable[Sequence[Any]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(table)
    return written.getvalue()
