"""Which tokens are hidden: pure functions of a generator. Shapes: T tokens of a row."""

from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Marks = NDArray[np.bool_]


def generator_of(seed: int, ids: Sequence[int]) -> np.random.Generator:
    """A row's own source of chance: the same row under the same seed is noised alike, in any batch and on any rank."""
    return np.random.default_rng((seed, crc32(np.asarray(ids, dtype=np.int64).tobytes())))


def some(hideable: Marks, share: float, generator: np.random.Generator, begins: Marks | None = None) -> Numbers:
    """The tokens to hide: a share of those that may be (T,), one at least where there is one.

    begins (T,): where words begin; then whole words are taken, in random order, until the next one would be too many.
    """
    words = np.arange(len(hideable)) if begins is None else np.cumsum(begins)
    rank = generator.permutation(len(hideable) + 1)[words]  # a word's tokens share one
    order = np.argsort(np.where(hideable, rank, len(rank) + 1), kind="stable")[: hideable.sum()]
    count = max(1, round(share * len(order)))
    ends = np.flatnonzero(np.diff(words[order], append=-1)) + 1  # where taking could stop without cutting a word
    fitting = ends[ends <= count]
    return np.sort(order[: fitting[-1] if len(fitting) else ends[:1].sum()])


def partition(total: int, parts: int, generator: np.random.Generator) -> Numbers:
    """`parts` lengths of at least 1 that add up to `total`, every such choice as likely."""
    cuts = np.sort(generator.choice(np.arange(1, total), parts - 1, replace=False))
    return np.diff(cuts, prepend=0, append=total)


def poisson(total: int, mean: float, generator: np.random.Generator) -> Numbers:
    """Lengths drawn from a Poisson distribution until they add up to `total`, the last one shortened; no more than `total` of them."""
    drawn = generator.poisson(mean, total)
    before = np.cumsum(drawn) - drawn
    return np.minimum(drawn, total - before)[before < total]


def place(kept: int, lengths: Numbers, generator: np.random.Generator) -> list[tuple[int, int]]:
    """Spans (start, stop) of these lengths, in this order, at random places between `kept` tokens that stay; no two touch."""
    before = np.sort(generator.choice(kept + 1, len(lengths), replace=False))
    starts = before + np.cumsum(lengths) - lengths
    return list(zip(starts.tolist(), (starts + lengths).tolist(), strict=True))
