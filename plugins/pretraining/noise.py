"""Random choices of tokens and spans: pure functions of a generator. Shapes: T tokens of a row."""

from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Marks = NDArray[np.bool_]


def generator_of(seed: int, ids: Sequence[int] | Numbers) -> np.random.Generator:
    """The generator of a row: its noise depends on the seed and its tokens alone, in any batch and on any rank."""
    return np.random.default_rng((seed, crc32(np.asarray(ids, dtype=np.int64).tobytes())))


def choose(maskable: Marks, share: float, generator: np.random.Generator, begins: Marks | None = None) -> Numbers:
    """Indices of a random share of the maskable (T,) tokens, at least one if there is one.

    begins (T,): first tokens of words; whole words are chosen, in random order, until the next one would be too many.
    """
    words = np.arange(len(maskable)) if begins is None else np.cumsum(begins)
    rank = generator.permutation(len(maskable) + 1)[words]  # a word's tokens share one
    order = np.argsort(np.where(maskable, rank, len(rank) + 1), kind="stable")[: maskable.sum()]
    count = max(1, round(share * len(order)))
    ends = np.flatnonzero(np.diff(words[order], append=-1)) + 1  # possible numbers of tokens of whole words
    fitting = ends[ends <= count]
    return np.sort(order[: fitting[-1] if len(fitting) else ends[:1].sum()])


def partition(total: int, parts: int, generator: np.random.Generator) -> Numbers:
    """`parts` lengths of at least 1 with the sum `total`, uniformly drawn."""
    cuts = np.sort(generator.choice(np.arange(1, total), parts - 1, replace=False))
    return np.diff(cuts, prepend=0, append=total)


def poisson(total: int, mean: float, generator: np.random.Generator) -> Numbers:
    """Lengths drawn from a Poisson distribution until their sum is `total`, the last one shortened; at most `total` of them."""
    drawn = generator.poisson(mean, total)
    before = np.cumsum(drawn) - drawn
    return np.minimum(drawn, total - before)[before < total]


def place(rest: int, lengths: Numbers, generator: np.random.Generator) -> list[tuple[int, int]]:
    """Spans (start, stop) of these lengths, in order, at random places among `rest` other tokens; no two touch."""
    before = np.sort(generator.choice(rest + 1, len(lengths), replace=False))
    starts = before + np.cumsum(lengths) - lengths
    return list(zip(starts.tolist(), (starts + lengths).tolist(), strict=True))
