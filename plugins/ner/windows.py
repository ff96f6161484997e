"""The windows of the texts of a batch, and the subwords in them that represent a word.

Shapes: B texts, R windows of them, T subwords of the longest window.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framework import NO_WORD, Ragged, best_windows, token_windows

Numbers = NDArray[np.int64]


class Windows(NamedTuple):
    """Overlapping slices of texts, of which a text of at most `room` subwords has one. All (R,).

    row: the text of a window. start, length: the subwords of the text that it holds.
    """

    row: Numbers
    start: Numbers
    length: Numbers

    @classmethod
    def of(cls, lengths: Numbers, room: int, overlap: int) -> "Windows":
        """The windows of texts of these lengths (B,)."""
        row = np.arange(len(lengths))
        if int(lengths.max()) <= room:
            return cls(row, np.zeros_like(lengths), lengths)
        spans = [token_windows(length, room, overlap) for length in lengths.tolist()]
        start, stop = np.array([span for each in spans for span in each], dtype=np.int64).T
        return cls(np.repeat(row, [len(each) for each in spans]), start, stop - start)

    def slices(self, texts: Ragged) -> Ragged:
        """The part of its text that each window holds."""
        return Ragged(texts.values, texts.starts[self.row] + self.start, self.length, texts.dtype)

    def represents(self, words: Numbers, word_ids: Ragged, pieces: Literal["first", "last", "all"], before: int) -> NDArray[np.bool_]:
        """(R, T): whether a subword represents its word, in one window alone. words: (R, T), of the subwords of the windows, from column
        `before` on; NO_WORD elsewhere. word_ids: of those of the texts."""
        mask = words != NO_WORD
        if pieces != "all":  # another word than its neighbor's: rows compared as one, then their outermost columns, which have none
            changes, outermost = words.ravel()[1:] != words.ravel()[:-1], 0 if pieces == "first" else -1
            kept = mask[:, outermost].copy()
            inner = mask.ravel()[1:] if pieces == "first" else mask.ravel()[:-1]
            inner &= changes
            mask[:, outermost] = kept
        if len(self.row) == len(word_ids):
            return mask
        if pieces != "all":  # the neighbor of the subword at the border of a window is in the text
            outside = self.start - 1 if pieces == "first" else self.start + self.length
            cut = np.flatnonzero((outside >= 0) & (outside < word_ids.lengths[self.row]))
            column = before if pieces == "first" else before + self.length[cut] - 1
            neighbors = word_ids.values[word_ids.starts[self.row[cut]] + outside[cut]]
            mask[cut, column] &= words[cut, column] != neighbors
        for text in np.flatnonzero(np.bincount(self.row) > 1):
            windows = np.flatnonzero(self.row == text)
            starts, stops = self.start[windows], self.start[windows] + self.length[windows]
            spans = list(zip(starts.tolist(), stops.tolist(), strict=True))
            best = best_windows(word_ids[int(text)].tolist(), spans)
            for number, window in enumerate(windows):
                mask[window] &= np.isin(words[window], [word for word, chosen in best.items() if chosen == number])
        return mask
