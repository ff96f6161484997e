"""Splits drawn from the training rows, stratified by label, and samples of rows."""

from array import array
from collections.abc import Iterable
from random import Random

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


class RowLabels:
    """The set of labels of each row; rows with equal sets share one."""

    def __init__(self) -> None:
        self.sets: dict[tuple[str, ...], int] = {}
        self.codes = array("q")  # of each row: the number of its set

    def add(self, labels: Iterable[str]) -> None:
        key = tuple(sorted(set(labels)))
        self.codes.append(self.sets.setdefault(key, len(self.sets)))

    def __len__(self) -> int:
        return len(self.codes)


def stratified(rows: RowLabels, among: Mask, count: int, seed: str) -> Mask:
    """A random sample of `count` of the rows of a mask, in which each label has its share, and of whose labels the others keep one row.

    Systematic sampling of the rows in the order of their rarest label, at random within a label: it gives each stratum its share, rounded
    up or down, and the exact total (Cochran 1977, Sampling Techniques, section 8.3); the rarest label decides as in Sechidis et al. 2011,
    https://doi.org/10.1007/978-3-642-23808-6_10. Fewer than `count` rows are drawn where the others would lose a label, but at least one.
    """
    random = np.random.default_rng([*seed.encode()])
    keys, shift = random.random(len(rows)), random.random()
    codes = np.asarray(rows.codes)
    candidates = np.flatnonzero(among)
    order = candidates[np.argsort(keys[candidates], kind="stable")]
    ranks, kept_sets = _ranks_and_kept(rows, np.bincount(codes[order], minlength=len(rows.sets)))
    sets, first = np.unique(codes[order], return_index=True)  # the first row of each set in the order
    kept = order[first[np.isin(sets, kept_sets)]]
    pool = order[~np.isin(order, kept)]
    if not len(pool):
        pool, count = order, 1
    pool = pool[np.argsort(ranks[codes[pool]], kind="stable")]
    count = min(count, len(pool))
    drawn = np.zeros(len(rows), dtype=np.bool_)
    drawn[pool[(np.arange(count) * len(pool) + int(shift * len(pool))) // count]] = True
    return drawn


def folds_of(rows: RowLabels, folds: int, seed: str) -> NDArray[np.int64]:
    """The number of the fold of each row, from 0: folds of equal size, in which each label has its share.

    Rows in the order of their rarest label, at random within a label, are dealt out in turn (as `stratified` samples them), so the rows of
    a label lie in as many folds as possible."""
    random = np.random.default_rng([*seed.encode()])
    codes = np.asarray(rows.codes)
    ranks, _ = _ranks_and_kept(rows, np.bincount(codes, minlength=len(rows.sets)))
    order = np.lexsort((random.random(len(rows)), ranks[codes]))
    found = np.empty(len(rows), dtype=np.int64)
    found[order] = np.arange(len(rows)) % folds
    return found


def _ranks_and_kept(rows: RowLabels, counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[int]]:
    """The rank of the rarest label of each set, and sets that together have all labels, of each of which a row is kept. counts: rows of
    each set."""
    sets_of: dict[str, list[int]] = {}
    for labels, code in rows.sets.items():
        for label in labels if counts[code] else ():
            sets_of.setdefault(label, []).append(code)
    ranked = sorted(sets_of, key=lambda label: (sum(counts[code] for code in sets_of[label]), label))
    rank = {label: number for number, label in enumerate(ranked)}
    ranks = np.array([min((rank.get(label, len(rank)) for label in labels), default=len(rank)) for labels in rows.sets], dtype=np.int64)
    members = list(rows.sets)
    kept: list[int] = []
    covered: set[str] = set()
    for label in ranked:
        if label not in covered:
            code = max(sets_of[label], key=lambda code: (counts[code], -code))  # the set that loses least
            kept.append(code)
            covered.update(members[code])
    return ranks, kept


def sample(total: int, count: int, seed: str, contiguous: bool) -> list[int]:
    """Numbers of `count` of `total` rows in their order, drawn at random. contiguous: successive rows, at a random place."""
    random = Random(seed)
    if contiguous:
        start = random.randrange(total - count + 1)
        return list(range(start, start + count))
    return sorted(random.sample(range(total), count))
