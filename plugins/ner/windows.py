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

    def slices(self, texts: Ragged, shift: int = 0) -> Ragged:
        """The part of its text that each window holds. shift: of the slices, to the right."""
        return Ragged(texts.values, texts.starts[self.row] + self.start + shift, self.length, texts.dtype)

    def represents(self, words: Numbers, word_ids: Ragged, pieces: Literal["first", "last", "all"]) -> NDArray[np.bool_]:
        """(R, T): whether a subword represents its word, in one window alone. words: (R, T), of the subwords of the windows; word_ids: of
        those of the texts."""
        mask = words != NO_WORD
        if pieces != "all":
            neighbors = self.slices(word_ids, -1 if pieces == "first" else 1).padded(NO_WORD, words.shape[1])
            end = 0 if pieces == "first" else word_ids.lengths[self.row][:, None] - 1  # the subword that has no such neighbor
            place = self.start[:, None] + np.arange(words.shape[1])
            mask &= (words != neighbors) | (place == end)
        for text in np.flatnonzero(np.bincount(self.row) > 1):
            windows = np.flatnonzero(self.row == text)
            starts, stops = self.start[windows], self.start[windows] + self.length[windows]
            spans = list(zip(starts.tolist(), stops.tolist(), strict=True))
            best = best_windows(word_ids[int(text)].tolist(), spans)
            for number, window in enumerate(windows):
                mask[window] &= np.isin(words[window], [word for word, chosen in best.items() if chosen == number])
        return mask
