"""Examples: the items that batches are made of, rows of a split or windows of its running text."""

import numpy as np

from framework.data.batches import Indices
from framework.data.encoding import Encoded
from framework.data.formats import Row
from framework.data.ragged import Column, FeatureRows, Numbers, Ragged
from framework.errors import UserError


class RowExamples:
    """The rows of a split. lengths: tokens of each example; their number is the same in every epoch."""

    def __init__(self, encoded: Encoded):
        self.encoded, self.lengths = encoded, encoded.lengths

    def batch(self, examples: Numbers, offset: int) -> FeatureRows:
        return self.encoded.batch(examples)

    def raw(self, example: int) -> Row:
        return self.encoded.raw(example)

    def offset(self, seed: int, epoch: int) -> int:
        return 0


class WindowExamples:
    """Windows of `length` + 1 tokens at a distance of `length`: the targets of a window are all its tokens but the first, which is a target
    of the window before.

    circular (training): the text is a ring that starts at another token each epoch, so window borders move and every token is a target
        exactly once. Otherwise (evaluation) every token but the first is.
    whole: one text of all rows; else each row is a text of its own and no window crosses its border.
    isolated: each row is a document. Windows have the document number of each token (`@documents`, from 0), and the first token of a
        document is no target (`@counted`, 1 = target).
    stride: distance between windows if not circular. The targets of a window are the tokens that earlier windows do not cover
        (`@counted`), each with at least `length` - `stride` tokens of context beyond the first window.
    """

    def __init__(self, encoded: Encoded, length: int, circular: bool, whole: bool, isolated: bool = False, stride: int | None = None):
        self.encoded, self.length, self.circular, self.isolated = encoded, length, circular, isolated
        self.names = list(encoded.features)
        ends = [reader.ends for reader in encoded.features.values() if reader.ends is not None and reader.nesting == 1]
        if len(ends) < len(self.names) or any(each[-1] != ends[0][-1] for each in ends):
            raise UserError(f"features of running text must have one number for each token; these are {', '.join(self.names)}")
        if stride is not None and not 1 <= stride <= length:
            raise UserError(f"data.batches.stride={stride} must be in [1, {length}], the number of tokens in a window (model.max_length)")
        self.stride = None if circular else stride
        self.ends = np.asarray(ends[0])
        self.total = int(self.ends[-1])
        if whole and self.total < 2:
            raise UserError(f"a running text must have at least 2 tokens, and this one has {self.total}")
        self.starts, self.lengths, self.known, self.row = self._cut(whole)
        self._raw: tuple[int, Row] | None = None

    def _cut(self, whole: bool) -> tuple[Indices, Indices, Indices, Indices]:
        """Start and length of each window, how many of its targets earlier windows have, and the row in which it starts."""
        borders = np.array([0, self.total]) if whole else np.concatenate(([0], self.ends))
        step = self.stride or self.length
        starts, lengths, known = [], [], []
        for begin, end in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
            targets = end - begin if self.circular and whole else end - begin - 1
            # the first window has `length` targets, each later one `step`
            start = np.arange(begin, begin + max(min(targets, 1), targets - self.length + step), step)
            starts.append(start)
            lengths.append(np.minimum(self.length, begin + targets - start))
            known.append(np.where(start == begin, 0, self.length - step))
        start = np.concatenate(starts)
        return start, np.concatenate(lengths), np.concatenate(known), np.searchsorted(self.ends, start, side="right")

    def batch(self, examples: Numbers, offset: int) -> FeatureRows:
        """The features of several windows (B,) of the text that starts at a token."""
        starts, lengths = (self.starts[examples] + offset) % self.total, self.lengths[examples] + 1

        def column(name: str) -> Column:
            if name in self.names:
                return self.encoded.features[name].slices(starts, lengths)
            inside = np.arange(int(lengths.max())) + starts[:, None]  # (B, T)
            documents = self._documents(inside) if self.isolated else np.zeros_like(inside)
            values = documents if name == "@documents" else self._counted(documents, self.known[examples])
            return Ragged.of_padded(values, lengths)

        marks = (("@documents",) if self.isolated else ()) + (("@counted",) if self.isolated or self.stride is not None else ())
        return FeatureRows(len(examples), (*self.names, *marks), column)

    def _documents(self, places: Indices) -> Indices:
        """The document of each token (B, T) of a window, from 0: its row, and another one in each round of the ring."""
        rounds, places = np.divmod(places, self.total)
        documents = np.searchsorted(self.ends, places, side="right") + rounds * len(self.ends)
        return np.asarray(documents - documents[:, :1])

    def _counted(self, documents: Indices, known: Indices) -> Indices:
        """1 for each token (B, T) that is a target. known: (B,), how many targets of a window earlier ones have."""
        counted = (np.arange(documents.shape[1]) > known[:, None]).astype(np.int64)
        counted[:, 1:] *= documents[:, 1:] == documents[:, :-1]
        return counted

    def raw(self, example: int) -> Row:
        """The row in which a window starts, read once for consecutive windows."""
        row = int(self.row[example])
        if self._raw is None or self._raw[0] != row:
            self._raw = row, self.encoded.raw(row)
        return self._raw[1]

    def offset(self, seed: int, epoch: int) -> int:
        """The token at which the ring starts in an epoch."""
        return int(np.random.default_rng((seed, epoch, 1)).integers(self.total)) if self.circular else 0


Examples = RowExamples | WindowExamples
