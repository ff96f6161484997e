"""Baselines of classification: naive Bayes on words, and its metrics."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet


class NaiveBayes:
    """Naive Bayes over the words and word pairs of a text, each counted once.
    Wang and Manning 2012, section 2.1, https://aclanthology.org/P12-2018

    rows: the features of a text, and its label. Counts are smoothed by one.
    """

    def __init__(self, rows: Iterable[tuple[AbstractSet[str], str]]):
        self.rows_of: Counter[str] = Counter()  # label -> number of texts
        self.counts: dict[str, Counter[str]] = {}  # label -> feature -> number of texts
        for words, label in rows:
            self.rows_of[label] += 1
            self.counts.setdefault(label, Counter()).update(words)
        self.known = frozenset().union(*self.counts.values())
        self.totals = {label: sum(counts.values()) + len(self.known) for label, counts in self.counts.items()}

    def score(self, words: AbstractSet[str], label: str) -> float:
        """log P(label) + the sum of log P(feature | label) over the features seen in training."""
        counts, total = self.counts[label], math.log(self.totals[label])
        known = [counts[feature] for feature in words & self.known]
        prior = math.log(self.rows_of[label] / self.rows_of.total())
        return prior + math.fsum(math.log(count + 1) - total for count in known)

    def __call__(self, words: AbstractSet[str]) -> str:
        """The likeliest label; of ties the first in the alphabet."""
        return max(sorted(self.counts), key=lambda label: self.score(words, label))


def features(text: str) -> set[str]:
    words = re.findall(r"[\w']+|[^\w\s]+", text.lower())
    return {*words, *(f"{first} {second}" for first, second in zip(words, words[1:], strict=False))}


def figures(predicted: Sequence[str], expected: Sequence[str]) -> dict[str, float]:
    """Accuracy, and F1 averaged over the labels that occur."""
    right = Counter(a for a, b in zip(predicted, expected, strict=True) if a == b)
    sizes = Counter(predicted) + Counter(expected)  # 2 * true positives + false positives + false negatives
    return {
        "accuracy": right.total() / len(expected),
        "f1": math.fsum(2 * right[label] / size for label, size in sizes.items()) / len(sizes),
    }


def figures_of_counts(right: Sequence[int], predicted: Sequence[int], true: Sequence[int], exact: int, texts: int) -> dict[str, float]:
    """Metrics of several labels for a text. right, predicted, true: for each label its true positives, predictions and references.
    exact: texts with all labels right."""
    f1s = [_share(2 * each[0], each[1] + each[2]) for each in zip(right, predicted, true, strict=True)]
    return {
        "micro_f1": _share(2 * sum(right), sum(predicted) + sum(true)),
        "macro_f1": math.fsum(f1s) / len(f1s),
        "subset_accuracy": _share(exact, texts),
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
