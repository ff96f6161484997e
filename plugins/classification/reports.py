"""Tables of test rows, as CSV: what was taken for what, and how each label fares."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any


def confusion(pairs: Iterable[tuple[str, str]], labels: Sequence[str]) -> str:
    """How often each label (a row) was told as each (a column). pairs: (reference, predicted)."""
    counts = Counter(pairs)
    table = [[reference, *(counts[reference, predicted] for predicted in labels)] for reference in labels]
    return _csv([["reference", *labels], *table])


def per_label(pairs: Sequence[tuple[set[str], set[str]]], labels: Sequence[str]) -> str:
    """Precision, recall, F1 and number of rows of each label; empty where nothing can be said. pairs: (reference, predicted)."""
    right, told, true = (
        Counter(label for pair in pairs for label in of(*pair))
        for of in (lambda reference, predicted: reference & predicted, lambda _, predicted: predicted, lambda reference, _: reference)
    )
    table = [
        [label, _ratio(right[label], told[label]), _ratio(right[label], true[label]), _ratio(2 * right[label], told[label] + true[label])]
        for label in labels
    ]
    return _csv([["label", "precision", "recall", "f1", "rows"], *([*line, true[line[0]]] for line in table)])


def _ratio(part: int, whole: int) -> str:
    return f"{part / whole:.4f}" if whole else ""


def _csv(table: Iterable[Sequence[Any]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(table)
    return written.getvalue()
