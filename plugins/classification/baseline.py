"""The baseline: linear models of TF-IDF weighted words, and of what two texts have in common."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

import torch
from torch import Tensor

from .linear import PENALTY, STRONG_PENALTY, Features, fit
from .overlaps import CONSTANT, FURTHEST
from .words import PairWords

KNOWN = 2**18  # words and word pairs of a linear model: the most frequent ones


class LinearWords:
    """A linear model of TF-IDF weighted words and word pairs of a text, each counted once. Wang and Manning 2012, section 4.2,
    https://aclanthology.org/P12-2018. Of two texts (`PairWords`) also of their overlaps, in standard deviations from the mean.

    texts: the words and word pairs of each training text. outputs: number of scores of a text. loss: of the scores (texts, outputs) of all
    training texts, summed. penalty: of a squared weight; of two texts STRONG_PENALTY.
    """

    def __init__(self, texts: Sequence[AbstractSet[str]], outputs: int, loss: Callable[[Tensor], Tensor], penalty: float = PENALTY):
        counts = Counter(word for words in texts for word in words)
        known = sorted(counts, key=lambda word: (-counts[word], word))[:KNOWN]
        self.places = {word: place for place, word in enumerate(known)}
        self.rarity = [inverse_frequency(len(texts), counts[word]) for word in known]
        self.pairs = any(isinstance(text, PairWords) for text in texts)
        self.occurs = Counter(word for text in texts if isinstance(text, PairWords) for side in text.sides for word in side)
        self.texts = 2 * len(texts)
        overlaps = self._overlaps(texts)  # (texts, overlaps)
        self.mean = overlaps.mean(dim=0)
        deviation = (overlaps - self.mean).square().mean(dim=0).sqrt()
        self.deviation = deviation.masked_fill(deviation < CONSTANT, 1.0)
        features = self._features(texts)
        shape = (len(known) + overlaps.shape[1], outputs)
        self.weights, self.bias = fit(features, shape, loss, STRONG_PENALTY if self.pairs else penalty)

    def _overlaps(self, texts: Sequence[AbstractSet[str]]) -> Tensor:
        def rarity(word: str) -> float:
            return inverse_frequency(self.texts, self.occurs[word])

        return torch.tensor([text.overlaps(rarity) if isinstance(text, PairWords) else [] for text in texts], dtype=torch.float32)

    def _features(self, texts: Sequence[AbstractSet[str]]) -> Features:
        standard = ((self._overlaps(texts) - self.mean) / self.deviation).clamp(-FURTHEST, FURTHEST).tolist()
        columns: list[int] = []
        values: list[float] = []
        begins = []
        for words, overlaps in zip(texts, standard, strict=True):
            begins.append(len(columns))
            places = sorted(self.places[word] for word in words if word in self.places)
            norm = math.hypot(*(self.rarity[place] for place in places)) or 1.0
            columns += [*places, *range(len(self.places), len(self.places) + len(overlaps))]
            values += [*(self.rarity[place] / norm for place in places), *overlaps]
        return Features(torch.tensor(columns, dtype=torch.int64), torch.tensor(values), torch.tensor(begins))

    def __call__(self, words: AbstractSet[str]) -> Tensor:
        """The scores of a text, (outputs,)."""
        return (self._features([words]).times(self.weights) + self.bias)[0]


def inverse_frequency(texts: int, occurs: int) -> float:
    return math.log((1 + texts) / (1 + occurs)) + 1
