"""Baselines on the words of a text: linear models of TF-IDF weighted words for labels, ridge regression for numbers."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .linear import Features, fit

KNOWN = 2**18  # words and word pairs of a linear model: the most frequent ones
MOST = 2000  # features of a regression: the time of the solution is cubic in them
PENALTY = 10.0

CHARACTERS = 100_000  # of a text that are read; the model reads fewer


class LinearWords:
    """A linear model of TF-IDF weighted words and word pairs of a text, each counted once. Wang and Manning 2012, section 4.2,
    https://aclanthology.org/P12-2018

    texts: the words and word pairs of each training text. outputs: number of scores of a text. loss: of the scores (texts, outputs) of all
    training texts, summed.
    """

    def __init__(self, texts: Sequence[AbstractSet[str]], outputs: int, loss: Callable[[Tensor], Tensor]):
        counts = Counter(word for words in texts for word in words)
        known = sorted(counts, key=lambda word: (-counts[word], word))[:KNOWN]
        self.places = {word: place for place, word in enumerate(known)}
        self.rarity = [math.log((1 + len(texts)) / (1 + counts[word])) + 1 for word in known]  # inverse document frequency
        self.weights, self.bias = fit(self._features(texts), (len(known), outputs), loss)

    def _features(self, texts: Sequence[AbstractSet[str]]) -> Features:
        columns: list[int] = []
        values: list[float] = []
        begins = []
        for words in texts:
            begins.append(len(columns))
            places = sorted(self.places[word] for word in words if word in self.places)
            norm = math.hypot(*(self.rarity[place] for place in places)) or 1.0
            columns += places
            values += [self.rarity[place] / norm for place in places]
        return Features(torch.tensor(columns, dtype=torch.int64), torch.tensor(values), torch.tensor(begins))

    def __call__(self, words: AbstractSet[str]) -> Tensor:
        """The scores of a text, (outputs,)."""
        return (self._features([words]).times(self.weights) + self.bias)[0]


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
