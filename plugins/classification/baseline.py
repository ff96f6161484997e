"""Baselines on the words of a text: naive Bayes for labels, ridge regression for numbers."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

MOST = 2000  # features of a regression: the time of the solution is cubic in them
PENALTY = 10.0

CHARACTERS = 100_000  # of a text that are read; the model reads fewer


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


class Ridge:
    """Ridge regression on the most frequent words and word pairs of a text. Hoerl and Kennard 1970, https://doi.org/10.2307/1267351

    rows: the features of a text, and its number.
    """

    def __init__(self, rows: Iterable[tuple[AbstractSet[str], float]]):
        rows = list(rows)
        counts = Counter(word for words, _ in rows for word in words)
        known = sorted(counts, key=lambda word: (-counts[word], word))[:MOST]
        self.places = {word: place for place, word in enumerate(known)}
        x, y = self._matrix([words for words, _ in rows]), np.array([number for _, number in rows])
        self.middle, self.mean = x.mean(axis=0), y.mean()
        x -= self.middle
        self.weights = np.linalg.solve(x.T @ x + PENALTY * np.eye(len(known)), x.T @ (y - self.mean))

    def _matrix(self, texts: Sequence[AbstractSet[str]]) -> NDArray[np.float64]:
        """(texts, features), 1 for each feature of a text."""
        x = np.zeros((len(texts), len(self.places)))
        for words, row in zip(texts, x, strict=True):
            row[[self.places[word] for word in words if word in self.places]] = 1.0
        return x

    def __call__(self, words: AbstractSet[str]) -> float:
        return float((self._matrix([words])[0] - self.middle) @ self.weights + self.mean)


def features(text: str) -> set[str]:
    """The words and pairs of words of a text, of a longer one those of its first CHARACTERS."""
    words = re.findall(r"[\w']+|[^\w\s]+", text[:CHARACTERS].lower())
    return {*words, *(f"{first} {second}" for first, second in zip(words, words[1:], strict=False))}
