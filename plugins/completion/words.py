"""Words of a text, counted by token."""

import re
from collections.abc import Sequence

import numpy as np

_WORD_OR_LINE_END = re.compile(r"\S+|\n")


def words_of(text: str, offsets: Sequence[tuple[int, int]]) -> list[int]:
    """The number of words that begin in each token. offsets: its characters, from and to.

    Words are separated by blanks, and every line end is a word: the `<eos>` of published results on wikitext-2. Words in no token, such
    as line ends that a tokenizer drops, count for the last token, so that the sum is always that of the text.
    """
    begins = np.array([match.start() for match in _WORD_OR_LINE_END.finditer(text)], dtype=np.int64)
    reached = np.maximum.accumulate(np.array([end for _, end in offsets], dtype=np.int64))
    before = np.searchsorted(begins, reached)  # words that begin before the end of each token
    before[-1:] = len(begins)
    return list(np.diff(before, prepend=0).tolist())
