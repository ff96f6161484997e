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
    whole: one stream of all rows; else a stream of each row, and no window crosses.
    isolated: each row is a document. A window says of every token which one it is of (`documents`, from 0), and a document's first
    token is not to be predicted (`counted`, 1 = predicted).
    stride: where not circular, windows are only so far apart, and a window predicts what the one before did not (`counted`), so
    that `length` - `stride` tokens at least stand before each prediction beyond the first window's.
    """

    def __init__(self, encoded: Encoded, length: int, circular: bool, whole: bool, isolated: bool = False, stride: int | None = None):
        self.encoded, self.length, self.circular, self.isolated = encoded, length, circular, isolated
        self.names = list(encoded.ends)
        if len(self.names) != len(encoded.kinds) or any(encoded.ends[name][-1] != encoded.ends[self.names[0]][-1] for name in self.names):
            raise UserError(f"running text can have features of one number a token only; here: {encoded.kinds}")
        if stride is not None and not 1 <= stride <= length:
            raise UserError(f"data.batches.stride={stride}: at least 1 and at most the {length} tokens the model reads (model.max_length)")
        self.stride = None if circular else stride
        self.ends = np.asarray(encoded.ends[self.names[0]])
        self.total = int(self.ends[-1])
        if whole and self.total < 2:
            raise UserError(f"a running text of {self.total} tokens is too short to predict anything")
        self.starts, self.lengths, self.known, self.row = self._cut(whole)
        self._raw: tuple[int, Row] | None = None

    def _cut(self, whole: bool) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        """Start and length of each window, how many of its tokens those before it have predicted, and the row it begins in."""
        borders = np.array([0, self.total]) if whole else np.concatenate(([0], self.ends))
        step = self.stride or self.length
        starts, lengths, known = [], [], []
        for begin, end in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
            predicted = end - begin if self.circular and whole else end - begin - 1
            # the first window predicts as much as the model reads, each further one a step
            start = np.arange(begin, begin + max(min(predicted, 1), predicted - self.length + step), step)
            starts.append(start)
            lengths.append(np.minimum(self.length, begin + predicted - start))
            known.append(np.where(start == begin, 0, self.length - step))
        start = np.concatenate(starts)
        return start, np.concatenate(lengths), np.concatenate(known), np.searchsorted(self.ends, start, side="right")

    def features(self, example: int, offset: int) -> Features:
        start = (int(self.starts[example]) + offset) % self.total
        stop = start + int(self.lengths[example]) + 1
        features: Features = {name: self._ring(name, start, stop) for name in self.names}
        if not self.isolated and self.stride is None:
            return features
        counted = np.ones(stop - start, dtype=np.int64)
        counted[: 1 + self.known[example]] = 0
        if self.isolated:
            documents = self._documents(start, stop)
            counted[1:] *= documents[1:] == documents[:-1]
            features["documents"] = documents.tolist()
        return {**features, "counted": counted.tolist()}

    def _ring(self, name: str, start: int, stop: int) -> list[int]:
        tokens = self.encoded.tokens(name, start, min(stop, self.total))
        while len(tokens) < stop - start:  # more than once around where the text is shorter than a window
            tokens += self.encoded.tokens(name, 0, min(self.total, stop - start - len(tokens)))
        return tokens

    def _documents(self, start: int, stop: int) -> Numbers:
        """The number of each token's document in the window: its row, and another one each time the ring comes round."""
        rounds, places = np.divmod(np.arange(start, stop), self.total)
        documents = np.searchsorted(self.ends, places, side="right") + rounds * len(self.ends)
        return np.asarray(documents - documents[0])

    def raw(self, example: int) -> Row:
        """The row in which a window begins, read once for all its windows."""
        row = int(self.row[example])
        if self._raw is None or self._raw[0] != row:
            self._raw = row, self.encoded.raw(row)
        return self._raw[1]

    def offset(self, seed: int, epoch: int) -> int:
        """Where the ring begins in this epoch."""
        return int(np.random.default_rng((seed, epoch, 1)).integers(self.total)) if self.circular else 0
