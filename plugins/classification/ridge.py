"""Baseline of regression: a linear model of words."""

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

MOST = 2000  # features: the time of the solution is cubic in them
PENALTY = 10.0


class Ridge:
    """Ridge regression on the most frequent words and word pairs of a text. Hoerl and Kennard 1970, https://doi.org/10.2307/1267351

    rows: the features of a text, and its number.
    """

    def __init__(self, rows: Sequence[tuple[AbstractSet[str], float]]):
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

    def __call__(self, texts: Sequence[AbstractSet[str]]) -> list[float]:
        return list(((self._matrix(texts) - self.middle) @ self.weights + self.mean).tolist())
