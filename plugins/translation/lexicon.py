"""Translations of single tokens, learned from pairs of texts.

IBM model 1: Brown et al. 1993, section 4.1, https://aclanthology.org/J93-2003
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from framework import IGNORED, Batch

ROUNDS = 5  # of expectation maximization
LONGEST = 256  # tokens of a text that are aligned: a pair has as many links as the product of its lengths
LINKS = 10_000_000  # that are counted at most; takes 1 GB and half a minute


def translation_probabilities(pairs: Iterable[tuple[Sequence[int], Sequence[int]]]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Entries (E, 2) of source and target ids that occur in a pair of texts, in ascending order, and t(target | source) of each.

    Reads the first LONGEST ids of each text, and pairs until they have LINKS links.

    Expectation maximization over the links between the ids of each pair; arrays have one entry for each link.
    """
    links, explained, ids, counted = [np.zeros((0, 2), dtype=np.int64)], [np.zeros(0, dtype=np.int64)], 0, 0
    for source, target in pairs:
        left, right = np.asarray(source[:LONGEST], dtype=np.int64), np.asarray(target[:LONGEST], dtype=np.int64)
        counted += len(left) * len(right)
        if counted > LINKS:
            break
        links.append(np.stack((np.tile(left, len(right)), np.repeat(right, len(left))), axis=1))
        explained.append(np.repeat(np.arange(ids, ids + len(right)), len(left)))
        ids += len(right)
    explains = np.concatenate(explained)
    entries, entry = np.unique(np.concatenate(links), axis=0, return_inverse=True)
    probability = np.ones(len(entries))
    for _ in range(ROUNDS):
        share = probability[entry]
        share /= np.bincount(explains, share)[explains]
        weight = np.bincount(entry, share, minlength=len(entries))
        probability = weight / np.bincount(entries[:, 0], weight)[entries[:, 0]]
    return entries, probability


def most_probable(
    entries: NDArray[np.int64], probability: NDArray[np.float64], vocab_size: int, count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The translations (V, K) of each id, the most probable first, and their shares (V, K), which sum up to 1. An id that is not among the
    entries has itself."""
    order = np.lexsort((-probability, entries[:, 0]))
    source, target = entries[order].T
    rank = np.arange(len(source)) - np.searchsorted(source, source)  # of a translation among those of its id
    kept = rank < count
    tokens = np.repeat(np.arange(vocab_size)[:, None], count, axis=1)
    shares = np.zeros((vocab_size, count))
    shares[:, 0] = 1.0
    shares[source[kept & (rank == 0)], 0] = 0.0
    tokens[source[kept], rank[kept]] = target[kept]
    shares[source[kept], rank[kept]] = probability[order][kept]
    return tokens, shares / shares.sum(axis=1, keepdims=True)


def id_pairs(batch: Batch) -> Iterable[tuple[list[int], list[int]]]:
    """The ids of each source and its target, without padding."""
    mask = batch["source_padding_mask"]
    for number, (source, labels) in enumerate(zip(batch["source"], batch["labels"], strict=True)):
        yield (source if mask is None else source[mask[number]]).tolist(), labels[labels != IGNORED].tolist()
