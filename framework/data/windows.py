"""What one row of a batch is: a row of the split, or a window of the running text that all rows make together."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from framework.data.encoding import Encoded
from framework.data.formats import Features, Row
from framework.errors import UserError

Numbers = NDArray[np.int64]


class Examples(Protocol):
    """What batches are made of. lengths: what each example costs; their number is the same in every epoch."""

    lengths: Numbers

    def features(self, example: int, offset: int) -> Features: ...
    def raw(self, example: int) -> Row: ...
    def offset(self, seed: int, epoch: int) -> int: ...


class RowExamples:
    """Rows as they are."""

    def __init__(self, encoded: Encoded):
        self.encoded, self.lengths = encoded, encoded.lengths

    def features(self, example: int, offset: int) -> Features:
        return self.encoded[example]

    def raw(self, example: int) -> Row:
        return self.encoded.raw(example)

    def offset(self, seed: int, epoch: int) -> int:
        return 0


class WindowExamples:
    """Windows of `length` + 1 tokens, `length` apart: a window predicts all its tokens but the first, which the one before predicts.

    circular (training): the stream is a ring that begins at another token each epoch, so that windows are cut elsewhere and
    every token is predicted exactly once. Otherwise (evaluation) every token but the very first is.
    borders: the stream ends after these tokens, and no window crosses: one stream for all rows, or one for each row.
    """

    def __init__(self, encoded: Encoded, length: int, circular: bool, whole: bool):
        self.encoded, self.length, self.circular = encoded, length, circular
        self.names = list(encoded.ends)
        if len(self.names) != len(encoded.kinds) or any(encoded.ends[name][-1] != encoded.ends[self.names[0]][-1] for name in self.names):
            raise UserError(f"running text can have features of one number a token only; here: {encoded.kinds}")
        ends = np.asarray(encoded.ends[self.names[0]])
        self.total = int(ends[-1])
        if whole and self.total < 2:
            raise UserError(f"a running text of {self.total} tokens is too short to predict anything")
        self.starts, self.lengths, self.row = self._cut(ends, whole)

    def _cut(self, ends: Numbers, whole: bool) -> tuple[Numbers, Numbers, Numbers]:
        """Start of each window, the tokens it predicts, and the row it begins in."""
        borders = np.array([0, self.total]) if whole else np.concatenate(([0], ends))
        starts, lengths = [], []
        for begin, end in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
            predicted = end - begin if self.circular and whole else end - begin - 1
            start = np.arange(begin, begin + predicted, self.length)
            starts.append(start)
            lengths.append(np.minimum(self.length, begin + predicted - start))
        start = np.concatenate(starts)
        return start, np.concatenate(lengths), np.searchsorted(ends, start, side="right")

    def features(self, example: int, offset: int) -> Features:
        start = (int(self.starts[example]) + offset) % self.total
        stop = start + int(self.lengths[example]) + 1
        return {name: self._ring(name, start, stop) for name in self.names}

    def _ring(self, name: str, start: int, stop: int) -> list[int]:
        tokens = self.encoded.tokens(name, start, min(stop, self.total))
        while len(tokens) < stop - start:  # more than once around where the text is shorter than a window
            tokens += self.encoded.tokens(name, 0, min(self.total, stop - start - len(tokens)))
        return tokens

    def raw(self, example: int) -> Row:
        return self.encoded.raw(int(self.row[example]))

    def offset(self, seed: int, epoch: int) -> int:
        """Where the ring begins in this epoch."""
        return int(np.random.default_rng((seed, epoch, 1)).integers(self.total)) if self.circular else 0
