"""Baseline of language modeling: a byte model of order 3."""

import math
from collections.abc import Iterable, Iterator

import numpy as np

Array = np.ndarray

BLOCK = 1 << 22  # bytes that are counted at once


def order_three(train: Iterable[str], test: Iterable[str]) -> float:
    """Bits per byte of a byte model of order 3 that backs off. Witten and Bell 1991, method C, https://doi.org/10.1109/18.87000

    p(z | wxy) = (n(wxyz) + t(wxy) p(z | xy)) / (n(wxy) + t(wxy)), where t(wxy) is the number of different bytes after wxy; likewise
    down to the uniform distribution. Every text begins after three zero bytes.
    """
    grams, times = counted(test)
    if not len(grams):
        return math.nan
    seen, counts = counted(train)
    probability: Array = np.full(len(grams), 1 / 256)
    for order in range(4 if len(seen) else 0):
        probability = _sharpened(probability, grams & _mask(order), *_summed(seen & _mask(order), counts))
    return -float(times @ np.log2(probability)) / float(times.sum())


def counted(texts: Iterable[str]) -> tuple[Array, Array]:
    """The different runs of four bytes of the texts, each as one number, sorted, and their counts."""
    grams, counts = np.empty(0, dtype=np.uint32), np.empty(0, dtype=np.int64)
    for block in _blocks(texts):
        new, times = np.unique(block, return_counts=True)
        grams, counts = _summed(np.concatenate((grams, new)), np.concatenate((counts, times)))
    return grams, counts


def _blocks(texts: Iterable[str]) -> Iterator[Array]:
    """The runs of four bytes of many texts at a time: each byte after the three before it."""
    gathered: list[Array] = []
    size = 0
    for text in texts:
        data = np.frombuffer(b"\0\0\0" + text.encode("utf-8", "surrogatepass"), dtype=np.uint8).astype(np.uint32)
        gathered.append(data[:-3] << 24 | data[1:-2] << 16 | data[2:-1] << 8 | data[3:])
        size += len(gathered[-1])
        if size >= BLOCK:
            yield np.concatenate(gathered)
            gathered, size = [], 0
    if gathered:
        yield np.concatenate(gathered)


def _mask(order: int) -> np.uint32:
    """Selects the last byte of a run and `order` bytes before it."""
    return np.uint32(2 ** (8 * (order + 1)) - 1)


def _summed(grams: Array, counts: Array) -> tuple[Array, Array]:
    """Each gram once, sorted, with the sum of its counts."""
    unique, place = np.unique(grams, return_inverse=True)
    return unique, np.bincount(place, weights=counts, minlength=len(unique)).astype(np.int64)


def _sharpened(probability: Array, grams: Array, seen: Array, counts: Array) -> Array:
    """The probability of each gram's last byte, from its probability in the context that is one byte shorter."""
    contexts, begins = np.unique(seen >> 8, return_index=True)
    totals, kinds = np.add.reduceat(counts, begins), np.diff(begins, append=len(seen))
    context, known = _looked_up(grams >> 8, contexts)
    gram, occurs = _looked_up(grams, seen)
    times = np.where(occurs, counts[gram], 0)
    return np.where(known, (times + kinds[context] * probability) / (totals[context] + kinds[context]), probability)


def _looked_up(wanted: Array, table: Array) -> tuple[Array, Array]:
    """The index of each in a sorted table, and whether the table has it."""
    place = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
    return place, table[place] == wanted
