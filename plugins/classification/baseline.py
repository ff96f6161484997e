"""The floor under a classifier: what counting words already gives."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence


class NaiveBayes:
    """Naive Bayes over the words and word pairs that a text has, each counted once.
    Wang and Manning 2012, section 2.1, https://aclanthology.org/P12-2018

    rows: pairs of text and label. Counts are smoothed by one.
    """

    def __init__(self, rows: Iterable[tuple[str, str]]):
        self.rows_of: Counter[str] = Counter()  # label -> texts
        self.counts: dict[str, Counter[str]] = {}  # label -> feature -> texts that have it
        for text, label in rows:
            self.rows_of[label] += 1
            self.counts.setdefault(label, Counter()).update(features(text))
        self.known = frozenset().union(*self.counts.values())
        self.totals = {label: sum(counts.values()) + len(self.known) for label, counts in self.counts.items()}

    def score(self, text: str, label: str) -> float:
        """log P(label) + the sum of log P(feature | label) over the features seen in training."""
        counts, total = self.counts[label], math.log(self.totals[label])
        found = [counts[feature] for feature in features(text) & self.known]
        prior = math.log(self.rows_of[label] / self.rows_of.total())
        return prior + math.fsum(math.log(count + 1) - total for count in found)

    def __call__(self, text: str) -> str:
        """The likeliest label; of equals the first in the alphabet."""
        return max(sorted(self.counts), key=lambda label: self.score(text, label))


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
