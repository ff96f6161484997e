"""Unigram training against the enumeration of all splits."""

from itertools import product

import numpy as np
import pytest

from framework.data.tokenization import unigram

PIECES = ["a", "b", "c", "ab", "bc", "abc", "ca"]
PROBABILITY = np.array([0.2, 0.15, 0.1, 0.25, 0.12, 0.08, 0.1])
WORDS = {"abcab": 3, "cab": 2, "a": 5, "bca": 1}


def splits(word):
    """Every way to write a word in pieces."""
    for breaks in product([False, True], repeat=len(word) - 1):
        borders = [0, *(place + 1 for place, here in enumerate(breaks) if here), len(word)]
        split = [word[start:end] for start, end in zip(borders, borders[1:], strict=False)]
        if all(piece in PIECES for piece in split):
            yield split


def chance(split):
    return float(np.prod([PROBABILITY[PIECES.index(piece)] for piece in split]))


def test_expected_occurrences_are_those_of_all_splits():
    expected = dict.fromkeys(PIECES, 0.0)
    for word, count in WORDS.items():
        total = sum(map(chance, splits(word)))
        for split in splits(word):
            for piece in split:
                expected[piece] += count * chance(split) / total
    words = list(WORDS)
    lattice = unigram.Lattice.of(words, PIECES, longest=3)
    found = lattice.expected(PROBABILITY, np.array([WORDS[word] for word in words], dtype=float))
    assert found == pytest.approx([expected[piece] for piece in PIECES])


def test_the_best_split_that_is_not_the_piece_itself():
    lattice = unigram.Lattice.of(PIECES, PIECES, longest=3, whole=False)
    best = [max((chance(split) for split in splits(piece) if len(split) > 1), default=0.0) for piece in PIECES]
    with np.errstate(divide="ignore"):
        assert lattice.best(np.log(PROBABILITY)) == pytest.approx(np.log(best))


def test_pieces_are_sorted_scored_and_hold_every_character():
    pieces = unigram.train({"hello": 50, "help": 40, "yelp": 30, "xy": 1}, size=12)
    scores = [score for _, score in pieces]
    assert scores == sorted(scores, reverse=True)
    assert sum(np.exp(scores)) == pytest.approx(1.0, abs=1e-4)
    assert set("helopyx") <= {piece for piece, _ in pieces}
    assert 7 < len(pieces) <= 12


def test_the_order_of_the_words_plays_no_part():
    words = {f"w{number % 7}ord{number}": number % 5 + 1 for number in range(80)}
    assert unigram.train(words, 40) == unigram.train(dict(reversed(words.items())), 40)


def test_words_of_any_length():
    pieces = unigram.train({"ab" * 5000: 2}, 10)
    assert all(np.isfinite(score) for _, score in pieces)
    assert unigram.train({}, 10) == []
