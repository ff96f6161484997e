"""Baseline of translation: word by word, with a lexicon learned from the training pairs."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from framework import Row, split_at_blanks, texts_of

ROUNDS = 5  # of expectation maximization
PAIRS = 50_000  # of the training rows that are read at most
LONGEST = 256  # words of a text that are aligned: a pair has as many links as the product of its lengths
LINKS = 10_000_000  # that are counted at most; takes 1 GB and half a minute


def word_by_word(train: Iterable[Row], test: Iterable[Row]) -> Iterator[dict[str, Any]]:
    """Rows in which each word is replaced by its most probable translation; unknown words stay."""
    lexicon = learn_lexicon((split_at_blanks(row["source"]), split_at_blanks(texts_of(row, "target")[0])) for row in islice(train, PAIRS))
    for row in test:
        words = split_at_blanks(row["source"])
        yield {"prediction": " ".join(lexicon.get(word, word) for word in words), "reference": row["target"]}


def learn_lexicon(pairs: Iterable[tuple[list[str], list[str]]]) -> dict[str, str]:
    """Source word -> most probable target word. IBM model 1, Brown et al. 1993, section 4.1, https://aclanthology.org/J93-2003.

    Reads the first LONGEST words of each text, and pairs until they have LINKS links.

    Expectation maximization of t(target | source) over the links between the source and target words of each sentence; arrays have
    one entry for each link.
    """
    sources: dict[str, int] = {}
    targets: dict[str, int] = {}
    links, explained, words, counted = [np.zeros((0, 2), dtype=np.int64)], [np.zeros(0, dtype=np.int64)], 0, 0
    for source, target in pairs:
        source, target = source[:LONGEST], target[:LONGEST]
        counted += len(source) * len(target)
        if counted > LINKS:
            break
        left = [sources.setdefault(word, len(sources)) for word in source]
        right = [targets.setdefault(word, len(targets)) for word in target]
        links.append(np.stack((np.tile(left, len(right)), np.repeat(right, len(left))), axis=1).astype(np.int64))
        explained.append(np.repeat(np.arange(words, words + len(right)), len(left)))
        words += len(right)
    explains = np.concatenate(explained)
    entries, entry = np.unique(np.concatenate(links), axis=0, return_inverse=True)
    probability = np.ones(len(entries))
    for _ in range(ROUNDS):
        share = probability[entry]
        share /= np.bincount(explains, share)[explains]
        weight = np.bincount(entry, share, minlength=len(entries))
        probability = weight / np.bincount(entries[:, 0], weight)[entries[:, 0]]
    source_words, target_words = list(sources), list(targets)
    rising = np.argsort(probability, kind="stable")  # the most probable entry of a word is the last, which stays
    return {source_words[left]: target_words[right] for left, right in entries[rising].tolist()}
