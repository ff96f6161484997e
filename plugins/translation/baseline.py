"""Baseline of translation: word by word, with a lexicon learned from the training pairs."""

from collections.abc import Iterable
from itertools import islice

import numpy as np

from framework import BleuTokenizer, Row, split_at_blanks, texts_of

from .lexicon import first_pairs, translation_probabilities

PAIRS = 50_000  # of the training rows that are read at most


def word_by_word(train: Iterable[Row], test: Iterable[Row], tokenize: BleuTokenizer = "13a") -> dict[str, float]:
    """BLEU and chrF of replacing each word by its most probable translation; unknown words stay. tokenize: of BLEU."""
    lexicon = learn_lexicon((split_at_blanks(row["source"]), split_at_blanks(texts_of(row, "target")[0])) for row in islice(train, PAIRS))
    rows = list(test)
    predictions = [" ".join(lexicon.get(word, word) for word in split_at_blanks(row["source"])) for row in rows]
    from framework import Bleu, Chrf

    metrics = {"bleu": Bleu(tokenize, sync=False), "chrf": Chrf(sync=False)}  # the other ranks compute no baseline
    for metric in metrics.values():
        metric.update(predictions, [row["target"] for row in rows])
    return {name: float(metric.compute()) for name, metric in metrics.items()}


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
