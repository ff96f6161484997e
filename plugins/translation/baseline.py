"""Baseline of translation: word by word, with a lexicon learned from the training pairs."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from framework import Row, split_at_blanks, texts_of

from .lexicon import first_pairs, translation_probabilities

PAIRS = 50_000  # of the training rows that are read at most


def word_by_word(train: Iterable[Row], test: Iterable[Row]) -> Iterator[dict[str, Any]]:
    """Rows in which each word is replaced by its most probable translation; unknown words stay."""
    lexicon = learn_lexicon((split_at_blanks(row["source"]), split_at_blanks(texts_of(row, "target")[0])) for row in islice(train, PAIRS))
    for row in test:
        words = split_at_blanks(row["source"])
        yield {"prediction": " ".join(lexicon.get(word, word) for word in words), "reference": row["target"]}


def learn_lexicon(pairs: Iterable[tuple[list[str], list[str]]]) -> dict[str, str]:
    """Source word -> most probable target word."""
    sources: dict[str, int] = {}
    targets: dict[str, int] = {}
    numbered = (
        ([sources.setdefault(word, len(sources)) for word in source], [targets.setdefault(word, len(targets)) for word in target])
        for source, target in pairs
    )
    entries, probability = translation_probabilities(first_pairs(numbered))
    source_words, target_words = list(sources), list(targets)
    rising = np.argsort(probability, kind="stable")  # the most probable entry of a word is the last, which stays
    return {source_words[left]: target_words[right] for left, right in entries[rising].tolist()}
