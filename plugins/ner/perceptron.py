"""Averaged structured perceptron: a linear chain over features of words. Collins 2002, https://aclanthology.org/W02-1001

Shapes: W words, K features of a word, C tags, F rows of the table of weights.
"""

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .schemes import OUTSIDE, Scheme, Tag, entities, may_follow, parse, tags_of, write
from .sentences import Sentence
from .word_features import word_features

MOST_WORDS = 1_000_000  # that training visits, about 20 CPU-seconds; of more, the first are taken
MOST_EPOCHS = 10
FORBIDDEN = -1e9
Numbers = NDArray[np.float64]
Indices = NDArray[np.int64]


class Perceptron:
    """Tags of words by the best legal sequence of a linear chain: weights of features and tags, and of transitions between tags.

    In training, a sequence that is predicted wrongly lowers the weights of its features by 1 and raises those of the right one. The final
    weights are the mean over all sentences visited, from the sum of each change times its number (Daumé 2006, figure 2.3,
    http://users.umiacs.umd.edu/~hal/docs/daume06thesis.pdf). Rows are shuffled by a fixed seed.

    rows: with the entities of `types`. scheme: of its tags. buckets: F, the bound of the features.
    """

    def __init__(self, rows: Iterable[Sentence], types: Sequence[str], scheme: Scheme, buckets: int):
        self.tags, self.scheme, self.buckets = tags_of(types, scheme), scheme, buckets
        self.parsed = [parse(tag) for tag in self.tags]
        around = [*self.parsed, Tag(OUTSIDE, "")]
        legal = np.array([[0.0 if may_follow(before, after, scheme) else FORBIDDEN for after in around] for before in around])
        self.start, self.legal, self.end = legal[-1, :-1], legal[:-1, :-1], legal[:-1, -1]  # (C,), (C, C), (C,)
        self.weights, self.steps = np.zeros((buckets, len(self.tags))), np.zeros((len(self.tags), len(self.tags)))
        self._train(first(rows, MOST_WORDS))

    def __call__(self, row: Sentence) -> list[str]:
        path = self._best(word_features(row.tokens, self.buckets))
        return write(entities(self.parsed[tag] for tag in path), len(path))

    def _train(self, sentences: Sequence[Sentence]) -> None:
        examples = [(word_features(row.tokens, self.buckets).astype(np.int32), self._numbers(row)) for row in sentences if row.words]
        epochs = min(MOST_EPOCHS, max(1, MOST_WORDS // max(1, sum(len(tags) for _, tags in examples))))
        weight_sums, step_sums = np.zeros_like(self.weights), np.zeros_like(self.steps)
        visited, random = 0, Random(0)
        for _ in range(epochs):
            random.shuffle(examples)
            for features, tags in examples:
                predicted = self._best(features)
                wrong = predicted != tags  # (W,)
                if wrong.any():
                    for change, path in ((1.0, tags), (-1.0, predicted)):
                        cells = features[wrong], path[wrong, None]  # (W, K), (W, 1)
                        np.add.at(self.weights, cells, change)
                        np.add.at(weight_sums, cells, change * visited)
                        np.add.at(self.steps, (path[:-1], path[1:]), change)
                        np.add.at(step_sums, (path[:-1], path[1:]), change * visited)
                visited += 1
        self.weights -= weight_sums / max(1, visited)
        self.steps -= step_sums / max(1, visited)

    def _numbers(self, row: Sentence) -> Indices:
        number = {tag: index for index, tag in enumerate(self.tags)}
        return np.array([number[tag] for tag in write(row.entities or [], len(row.words), self.scheme)], dtype=np.int64)

    def _best(self, features: NDArray[Any]) -> Indices:
        """The best legal sequence (W,) of words with features (W, K). Viterbi 1967."""
        if not len(features):
            return np.zeros(0, dtype=np.int64)
        scores = self.weights[features].sum(axis=1)  # (W, C)
        step, columns = self.steps + self.legal, np.arange(scores.shape[1])
        best, pointers = self.start + scores[0], []
        for score in scores[1:]:
            paths = best[:, None] + step  # (C, C)
            before = paths.argmax(axis=0)
            best = paths[before, columns] + score
            pointers.append(before)
        path = [int((best + self.end).argmax())]
        for before in reversed(pointers):
            path.append(int(before[path[-1]]))
        return np.array(path[::-1], dtype=np.int64)


def first(rows: Iterable[Sentence], words: int) -> list[Sentence]:
    """The first rows that have so many words together; at least one row."""
    chosen: list[Sentence] = []
    count = 0
    for row in rows:
        count += len(row.words)
        if chosen and count > words:
            break
        chosen.append(row)
    return chosen
