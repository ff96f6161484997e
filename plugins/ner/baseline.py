"""Baseline of tagging: the most frequent tag of each word."""

from collections import Counter
from collections.abc import Iterable

from .schemes import OUTSIDE, entities, parse, write
from .sentences import Sentence


class FrequentTags:
    """A word's most frequent tag in training, O for an unknown word; of ties the first in the alphabet.
    Sequences are parsed as by conlleval."""

    def __init__(self, rows: Iterable[Sentence]):
        counts: dict[str, Counter[str]] = {}
        for row in rows:
            for token, tag in zip(row.tokens, write(row.entities or [], len(row.words)), strict=True):
                counts.setdefault(token, Counter())[tag] += 1
        self.tags = {token: max(sorted(tags), key=tags.__getitem__) for token, tags in counts.items()}

    def __call__(self, row: Sentence) -> list[str]:
        tags = [parse(self.tags.get(token, OUTSIDE)) for token in row.tokens]
        return write(entities(tags), len(tags))


def figures(train: Iterable[Sentence], test: Iterable[Sentence]) -> dict[str, float]:
    from .metrics import SpanF1  # formats need no torch

    tag = FrequentTags(train)
    pairs = [(tag(row), write(row.entities or [], len(row.words))) for row in test]
    types = sorted({parse(name).type for both in pairs for names in both for name in names if name != OUTSIDE})
    metric = SpanF1(types, sync_on_compute=False)  # the other ranks compute no baseline
    metric.update([predicted for predicted, _ in pairs], [expected for _, expected in pairs])
    return {name: float(figure) for name, figure in metric.compute().items()}
