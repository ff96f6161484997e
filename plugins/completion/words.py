"""Where words end up among tokens."""

import re
from collections.abc import Sequence

import numpy as np

_WORD_OR_LINE_END = re.compile(r"\S+|\n")


def words_of(text: str, offsets: Sequence[tuple[int, int]]) -> list[int]:
    """How many words begin in each token, given the characters (from, to) that it stands for.

    Words are what blanks part, and every line end is one more: the `<eos>` of the figures published on wikitext-2. What stands in
    no token, as line ends that a tokenizer drops, counts for the last, so that the sum is always that of the text.
    """
    begins = np.array([match.start() for match in _WORD_OR_LINE_END.finditer(text)], dtype=np.int64)
    reached = np.maximum.accumulate(np.array([end for _, end in offsets], dtype=np.int64))
    before = np.searchsorted(begins, reached)  # words that begin before the end of each token
    before[-1:] = len(begins)
    return list(np.diff(before, prepend=0).tolist())
