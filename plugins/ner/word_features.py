"""Features of words for a linear tagger, as hashed numbers. Ratinov and Roth 2009, section 3, https://aclanthology.org/W09-1119;
hashing: Weinberger et al. 2009, https://arxiv.org/abs/0902.2206

Shapes: W words, P properties of a word, K features of a word.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

AFFIXES = 4  # characters of the longest prefix and suffix
PROPERTIES = (
    "word",
    "lower",
    *(f"prefix_{length}" for length in range(1, AFFIXES + 1)),
    *(f"suffix_{length}" for length in range(1, AFFIXES + 1)),
    "shape",
    "short_shape",
)
# A feature is a property, or the conjunction of several, of words at distances from the word: ((distance, property), ...).
Feature = tuple[tuple[int, str], ...]
FEATURES: tuple[Feature, ...] = (
    *(((0, name),) for name in PROPERTIES),
    *(((distance, name),) for distance in (-2, -1, 1, 2) for name in ("lower", "short_shape")),
    *(((distance, name),) for distance in (-1, 1) for name in ("suffix_3", "shape")),
    *(((first, name), (first + 1, name)) for first in (-1, 0) for name in ("lower", "short_shape")),
    tuple((distance, "short_shape") for distance in (-1, 0, 1)),
)
REACH = max(abs(distance) for feature in FEATURES for distance, _ in feature)
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2 ** 64 divided by the golden ratio: Knuth, The Art of Computer Programming, section 6.4


def shape(word: str) -> str:
    """Letters replaced by X (upper case) and x, digits by d."""
    return "".join("X" if char.isupper() else "x" if char.isalpha() else "d" if char.isdigit() else char for char in word)


def properties(word: str) -> list[str]:
    """The values of PROPERTIES; affixes are those of the lower-cased word. The word outside of a text is ''."""
    lower, form = word.lower(), shape(word)
    prefixes = [lower[:length] for length in range(1, AFFIXES + 1)]
    suffixes = [lower[-length:] for length in range(1, AFFIXES + 1)]
    return [word, lower, *prefixes, *suffixes, form, "".join(char for char, _ in groupby(form))]


@lru_cache(maxsize=100_000)
def _hashed(word: str) -> tuple[int, ...]:
    return tuple(crc32(value.encode("utf-8", "surrogatepass")) for value in properties(word))


def word_features(tokens: Sequence[str], buckets: int) -> NDArray[np.int64]:
    """The features of every word (W, K), as numbers below `buckets`.

    A feature with number k in FEATURES begins as h = k + 1; each of its properties with CRC-32 c makes it h = (h ^ c) * MULTIPLIER modulo
    2 ** 64; the result is (h >> 32) % buckets.
    """
    outside = [_hashed("")] * REACH
    table = np.array([*outside, *map(_hashed, tokens), *outside], dtype=np.uint64)  # (W + 2 * REACH, P)
    columns = []
    for number, feature in enumerate(FEATURES, start=1):
        mixed = np.full(len(tokens), number, dtype=np.uint64)  # (W,)
        for distance, name in feature:
            start = REACH + distance
            mixed = (mixed ^ table[start : start + len(tokens), PROPERTIES.index(name)]) * MULTIPLIER
        columns.append((mixed >> np.uint64(32)) % np.uint64(buckets))
    return np.stack(columns, axis=1).astype(np.int64)
