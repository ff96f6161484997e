"""Translations of single tokens, learned from pairs of texts.

IBM model 1: Brown et al. 1993, section 4.1, https://aclanthology.org/J93-2003
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from framework import IGNORED, Batch

Pair = tuple[Sequence[int], Sequence[int]]  # ids of a source and its target

ROUNDS = 5  # of expectation maximization
TENSION = 6.0  # how much links of tokens at like places in their texts are preferred
LONGEST = 256  # tokens of a text that are aligned: a pair has as many links as the product of its lengths
LINKS = 10_000_000  # that are counted at most; takes 1 GB and half a minute
FOLDS = 2  # for which a lexicon is learned without their pairs


def first_pairs(pairs: Iterable[Pair]) -> list[Pair]:
    """The first pairs, until they have LINKS links, with the first LONGEST ids of each text."""
    kept, links = [], 0
    for source, target in pairs:
        source, target = source[:LONGEST], target[:LONGEST]
        links += len(source) * len(target)
        if links > LINKS:
            break
        kept.append((source, target))
    return kept


def translation_probabilities(pairs: Iterable[Pair], tension: float = 0.0) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Entries (E, 2) of source and target ids that occur in a pair of texts, in ascending order, and t(target | source) of each.

    Expectation maximization over the links between the ids of each pair; arrays have one entry for each link. tension: of a link's prior
    exp(-tension * |i / I - j / J|) for source token i of I and target token j of J: Dyer et al. 2013, https://aclanthology.org/N13-1073
    """
    links, explained, ids, distances = [np.zeros((0, 2), dtype=np.int64)], [np.zeros(0, dtype=np.int64)], 0, [np.zeros(0)]
    for source, target in pairs:
        left, right = np.asarray(source, dtype=np.int64), np.asarray(target, dtype=np.int64)
        links.append(np.stack((np.tile(left, len(right)), np.repeat(right, len(left))), axis=1))
        explained.append(np.repeat(np.arange(ids, ids + len(right)), len(left)))
        distances.append(np.abs(np.arange(len(left)) / max(1, len(left)) - np.arange(len(right))[:, None] / max(1, len(right))).ravel())
        ids += len(right)
    prior = np.exp(-tension * np.concatenate(distances))
    explains = np.concatenate(explained)
    entries, entry = np.unique(np.concatenate(links), axis=0, return_inverse=True)
    probability = np.ones(len(entries))
    for _ in range(ROUNDS):
        share = probability[entry] * prior
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


def id_pairs(batch: Batch) -> Iterator[Pair]:
    """The ids of each source and its target, without padding."""
    mask = batch["source_padding_mask"]
    for number, (source, labels) in enumerate(zip(batch["source"], batch["labels"], strict=True)):
        yield (source if mask is None else source[mask[number]]).tolist(), labels[labels != IGNORED].tolist()


def lexicons(
    pairs: Sequence[Pair], folds: Sequence[int], vocab_size: int, count: int
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float64]]]:
    """The number, tokens (V, K) and shares (V, K) of the lexicon of all pairs, 0, and of those without the pairs of each fold, from 1."""
    for left_out in range(-1, FOLDS):
        kept = (pair for pair, fold in zip(pairs, folds, strict=True) if fold != left_out)
        yield (left_out + 1, *most_probable(*translation_probabilities(kept, TENSION), vocab_size, count))
