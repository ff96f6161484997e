"""Training of a unigram tokenizer, with the same result in every process. Kudo 2018, section 3.2, https://arxiv.org/abs/1804.10959

Start from the frequent substrings; fit their probabilities by expectation maximization; remove those with the smallest loss; repeat.
The forward-backward algorithm runs over all words at once, by end position, and all sums have a fixed order.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

MOST_WORDS = 100_000  # the most frequent distinct words; bounds the time and hardly changes the pieces
MOST_CHARACTERS = 1_000_000  # of these words together: texts without blanks are words of any length
SEEDS_PER_PIECE = 5  # initial substrings for each final piece
SHRINK = 0.6  # share of the pieces that remain after a round
ROUNDS = 2  # of expectation maximization before each pruning
LONGEST_WORD = 48  # characters; longer words are split, so that their probabilities do not underflow
LEAST = 0.5  # least expected count of a piece


def train(words: Mapping[str, int], size: int, longest: int = 16) -> list[tuple[str, float]]:
    """`size` pieces (all single characters among them) and their log-probabilities, likeliest first.

    words: word -> count. longest: maximum number of characters of a piece.
    """
    counts: Counter[str] = Counter()
    frequent = sorted(words, key=lambda word: (-words[word], word))[:MOST_WORDS]
    ends = accumulate(map(len, frequent))
    for word in (word for word, end in zip(frequent, ends, strict=True) if end <= MOST_CHARACTERS or end == len(word)):
        for start in range(0, len(word), LONGEST_WORD):
            counts[word[start : start + LONGEST_WORD]] += words[word]
    texts = sorted(counts)
    weights = np.array([counts[text] for text in texts], dtype=np.float64)
    pieces, seen = seeds(texts, counts, size * SEEDS_PER_PIECE, longest)
    single = np.array([len(piece) == 1 for piece in pieces], dtype=bool)
    size = max(size, int(single.sum()))
    corpus, alternatives = Lattice.of(texts, pieces, longest), Lattice.of(pieces, pieces, longest, whole=False)
    alive = np.ones(len(pieces), dtype=bool)
    scores = np.log(seen / seen.sum()) if len(pieces) else seen
    while True:
        for _ in range(ROUNDS):
            expected = np.where(alive, corpus.expected(np.exp(scores), weights), 0.0)
            alive &= single | (expected >= LEAST)
            expected = np.where(alive, np.maximum(expected, 1e-3), 0.0)
            scores = np.where(alive, np.log(np.maximum(expected, 1e-300) / max(expected.sum(), 1e-300)), -np.inf)
        if alive.sum() <= size:
            break
        # loss of likelihood when the best split of its own text replaces a piece
        loss = np.full(len(pieces), -np.inf)
        loss[alive] = expected[alive] * (scores[alive] - alternatives.best(scores)[alive])
        loss[single] = np.inf
        order = np.lexsort((np.arange(len(pieces)), -np.round(loss, 6)))
        survivors = order[: max(size, int(alive.sum() * SHRINK))]
        alive &= np.isin(np.arange(len(pieces)), survivors)
        scores = np.where(alive, scores, -np.inf)
    scored = [(pieces[index], round(float(scores[index]), 6)) for index in np.flatnonzero(alive)]
    return sorted(scored, key=lambda item: (-item[1], item[0]))


def seeds(texts: list[str], counts: Mapping[str, int], size: int, longest: int) -> tuple[list[str], NDArray[np.float64]]:
    """Initial pieces and their counts: all characters, and the substrings that cover most of the corpus."""
    seen: Counter[str] = Counter()
    for text in texts:
        for character in text:
            seen[character] += counts[text]
    characters, several = sorted(seen), list[str]()
    repeated = {character for character, count in seen.items() if count > 1}
    for length in range(2, longest + 1):
        longer: Counter[str] = Counter()
        for text in texts:
            for start in range(len(text) - length + 1):
                # a substring is repeated only if those within it are: without these, memory stays small in texts without blanks
                if text[start : start + length - 1] in repeated and text[start + 1 : start + length] in repeated:
                    longer[text[start : start + length]] += counts[text]
        repeated = {piece for piece, count in longer.items() if count > 1}
        several += repeated
        seen.update({piece: longer[piece] for piece in repeated})
    chosen = sorted(several, key=lambda piece: (-seen[piece] * len(piece), piece))[:size]
    pieces = characters + chosen
    return pieces, np.array([seen[piece] for piece in pieces], dtype=np.float64)


@dataclass
class Lattice:
    """All splits of texts into pieces: arcs from a node to a later one, sorted by end position.

    A node is a position in a text: text number * width + characters before it. groups: arcs that end after 1, 2, ... characters.
    """

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    piece: NDArray[np.int64]
    groups: list[slice]
    last: NDArray[np.int64]  # the final node of every text
    width: int

    @classmethod
    def of(cls, texts: list[str], pieces: list[str], longest: int, whole: bool = True) -> "Lattice":
        """whole: whether a text may be a single piece."""
        ids = {piece: id for id, piece in enumerate(pieces)}
        width = max(map(len, texts), default=0) + 1
        arcs: list[list[tuple[int, int, int]]] = [[] for _ in range(width)]
        for number, text in enumerate(texts):
            for start in range(len(text)):
                for end in range(start + 1, min(start + longest, len(text)) + 1):
                    id = ids.get(text[start:end])
                    if id is not None and (whole or end - start < len(text)):
                        arcs[end].append((number * width + start, number * width + end, id))
        borders = np.cumsum([0, *map(len, arcs)])
        flat = np.array([arc for group in arcs for arc in group], dtype=np.int64).reshape(-1, 3)
        groups = [slice(int(a), int(b)) for a, b in zip(borders[:-1], borders[1:], strict=True)]
        last = np.array([number * width + len(text) for number, text in enumerate(texts)], dtype=np.int64)
        return cls(flat[:, 0], flat[:, 1], flat[:, 2], groups, last, width)

    def expected(self, probability: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expected count of each piece in the texts, by the forward-backward algorithm."""
        nodes, arc = len(self.last) * self.width, probability[self.piece]
        forward, backward = np.zeros(nodes), np.zeros(nodes)
        forward[:: self.width] = 1.0
        for group in self.groups:
            np.add.at(forward, self.end[group], forward[self.start[group]] * arc[group])
        total = forward[self.last]
        backward[self.last] = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
        for group in reversed(self.groups):
            np.add.at(backward, self.start[group], backward[self.end[group]] * arc[group])
        occurrences = forward[self.start] * arc * backward[self.end]
        return np.bincount(self.piece, occurrences, minlength=len(probability)).astype(np.float64)

    def best(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Score of the likeliest split of each text (Viterbi); -inf if it has none."""
        value, arc = np.full(len(self.last) * self.width, -np.inf), scores[self.piece]
        value[:: self.width] = 0.0
        for group in self.groups:
            np.maximum.at(value, self.end[group], value[self.start[group]] + arc[group])
        return value[self.last]
