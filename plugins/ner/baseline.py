"""Baseline of tagging: an averaged structured perceptron on features of words."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .perceptron import Perceptron
from .schemes import write
from .sentences import Sentence

MOST_FEATURES, MOST_WEIGHTS = 1 << 18, 1 << 23  # rows and numbers of its table


def predicted(train: Iterable[Sentence], test: Iterable[Sentence], labels: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The tags of the test rows. labels: the types of the training rows."""
    tag = Perceptron(train, labels, "iob2", min(MOST_FEATURES, MOST_WEIGHTS // (1 + 2 * len(labels))))
    for row in test:
        yield {"predicted_tags": tag(row), "reference_tags": write(row.entities or [], len(row.words))}
