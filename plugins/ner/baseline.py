"""Baseline of tagging: an averaged structured perceptron on features of words."""

from collections.abc import Iterable, Sequence

from .perceptron import Perceptron
from .schemes import OUTSIDE, parse, write
from .sentences import Sentence

MOST_FEATURES, MOST_WEIGHTS = 1 << 18, 1 << 23  # rows and numbers of its table


def figures(train: Iterable[Sentence], test: Iterable[Sentence], labels: Sequence[str]) -> dict[str, float]:
    """Figures on the test rows. labels: the types of the training rows."""
    from .metrics import SpanF1  # formats need no torch

    tag = Perceptron(train, labels, "iob2", min(MOST_FEATURES, MOST_WEIGHTS // (1 + 2 * len(labels))))
    pairs = [(tag(row), write(row.entities or [], len(row.words))) for row in test]
    types = sorted({parse(name).type for both in pairs for names in both for name in names if name != OUTSIDE})
    metric = SpanF1(types, sync_on_compute=False)  # the other ranks compute no baseline
    metric.update([predicted for predicted, _ in pairs], [expected for _, expected in pairs])
    return {name: float(figure) for name, figure in metric.compute().items()}
