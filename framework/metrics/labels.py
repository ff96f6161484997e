"""Counts of labels, from which precision, recall and F1 are computed."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.utilities.data import dim_zero_cat

from framework.metrics.base import RowMetric, named
from framework.metrics.resampling import Array, Figures, Resampled

RIGHT, PREDICTED, TRUE = range(3)


@dataclass(frozen=True)
class LabelSums:
    """Counts of labels that were predicted correctly, predicted, and true, in each of R resamples of the rows.

    labels: (R, L, 3). others: (R, 3), of all labels that are not among these, and kinds: (R,), their number. rows: (R, 2), those of which
    all labels are right, and all.

    >>> import numpy as np
    >>> ones, none = np.ones((1, 2, 3)), np.zeros((1, 3))
    >>> sums = LabelSums(ones, none, kinds=np.array([2.0]), rows=np.array([[3.0, 4.0]]))
    >>> sums.macro_f1(), sums.accuracy()  # two labels of four have an F1 of 0
    (array([0.5]), array([0.75]))
    """

    labels: Array
    others: Array
    kinds: Array
    rows: Array

    def micro(self) -> tuple[Array, Array, Array]:
        """Precision, recall and F1 over all labels together; 0 / 0 is 0."""
        sums = self.labels.sum(axis=1) + self.others
        right, predicted, true = sums[:, RIGHT], sums[:, PREDICTED], sums[:, TRUE]
        return share(right, predicted), share(right, true), share(2 * right, predicted + true)

    def f1_of_each(self) -> Array:
        """The F1 of each label, (R, L); 0 / 0 is 0."""
        return share(2 * self.labels[..., RIGHT], self.labels[..., PREDICTED] + self.labels[..., TRUE])

    def macro_f1(self, occurring: bool = True) -> Array:
        """The mean F1 of the labels. occurring: without those that are neither predicted nor true."""
        counted = (self.labels[..., PREDICTED] + self.labels[..., TRUE] > 0) | (not occurring)
        return share((self.f1_of_each() * counted).sum(axis=1), counted.sum(axis=1) + self.kinds)

    def accuracy(self) -> Array:
        """The share of rows of which all labels are right."""
        return share(self.rows[:, 0], self.rows[:, 1])


class LabelCounts(RowMetric):
    """Base class of metrics of labels: how often each was predicted rightly, predicted, and true. options: of `Metric`.

    A label that is not among `labels`, as only validation or test rows may have, is counted too: its occurrences are missed ones, and its
    F1 is 0. The states are counts, and one number for each such label, so any split into batches and ranks gives the same figures.

    >>> class LabelFigures(LabelCounts):
    ...     def update(self, predictions, references):
    ...         self.add([[a] if a == b else [] for a, b in zip(predictions, references)], predictions, references)
    ...
    ...     def figures_of(self, counts):
    ...         return {"f1": counts.micro()[2], "f1_macro": counts.macro_f1()}
    >>> figures = LabelFigures(["a", "b"])
    >>> figures.update(["a", "a", "b", "b"], ["a", "a", "b", ["new"]])
    >>> [round(float(value), 4) for value in figures.compute().values()]
    [0.75, 0.5556]
    """

    higher_is_better = True
    counts: Tensor  # (labels, 3): right, predicted, true
    others: Tensor  # (3,): of all labels that are not among them
    rows: Tensor  # (2,): of which all labels are right, and all
    names: list[Tensor]  # a hash of each label that is not among `labels`

    def __init__(self, labels: Sequence[str], **options: Any):
        super().__init__(**options)
        self.set_dtype(torch.float64)  # of `names`, also of a rank that has none; holds hashes of 48 bits exactly
        self.labels = tuple(labels)
        self.numbers = {label: number for number, label in enumerate(self.labels)}
        self.add_state("counts", torch.zeros(len(self.labels), 3, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("others", torch.zeros(3, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("rows", torch.zeros(2, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("names", [], dist_reduce_fx="cat")

    def add(self, right: Sequence[Collection[str]], predicted: Sequence[Collection[str]], true: Sequence[Collection[str]]) -> None:
        """Adds rows, each with the occurrences of its labels: those predicted rightly, predicted, and true. A text is one label."""
        several = [[[row] if isinstance(row, str) else row for row in rows] for rows in (right, predicted, true)]
        rows, columns, values = [], [], []
        unknown: set[str] = set()
        for column, labels_of in enumerate(several):
            for label, count in Counter(label for labels in labels_of for label in labels).items():
                if label in self.numbers:
                    rows.append(self.numbers[label])
                    columns.append(column)
                    values.append(count)
                else:
                    unknown.add(label)
                    self.others[column] += count
        indices = tuple(torch.tensor(each, dtype=torch.int64, device=self.device) for each in (rows, columns))
        self.counts.index_put_(indices, torch.tensor(values, dtype=torch.int64, device=self.device), accumulate=True)
        if unknown:
            self.names.append(torch.tensor([_hash(label) for label in sorted(unknown)], dtype=torch.float64, device=self.device))
        exact = sum(len(a) == len(b) == len(c) for a, b, c in zip(*several, strict=True))
        self.rows += torch.tensor([exact, len(true)], device=self.rows.device)
        if self.kept is not None:
            self.kept += zip(*several, strict=True)

    def compute(self) -> Any:
        kinds = float(len(dim_zero_cat(self.names).unique())) if len(self.names) else 0.0
        counts, others, rows = (np.array(state.tolist(), dtype=np.float64) for state in (self.counts, self.others, self.rows))
        found = self.figures_of(LabelSums(counts.reshape(1, -1, 3), others[None], np.array([kinds]), rows[None]))
        values = {name: torch.tensor(float(value[0]), dtype=torch.float64) for name, value in named(found).items()}
        return values if isinstance(found, dict) else values[""]

    def figures_of(self, counts: LabelSums) -> Array | Figures:
        """The metric of counts: (R,), or several figures by name."""
        raise NotImplementedError

    def resampled(self) -> Resampled:
        """The figures of any choice of the rows. A row has few of many labels, so its counts are kept as entries, not as a matrix."""
        assert self.kept is not None, "keep_rows comes before the rows"
        numbers = dict(self.numbers)
        entries = [
            (3 * numbers.setdefault(label, len(numbers)) + column, row)
            for row, several in enumerate(self.kept)
            for column, labels in enumerate(several)
            for label in labels
        ]
        add_up = Entries(np.array(sorted(entries), dtype=np.int64).reshape(-1, 2), 3 * len(numbers))
        exact = np.array([len(right) == len(predicted) == len(true) for right, predicted, true in self.kept], dtype=np.float64)

        def of(weights: Array) -> Figures:
            counts = add_up(weights).reshape(len(weights), -1, 3)
            known, others = counts[:, : len(self.labels)], counts[:, len(self.labels) :]
            rows = np.stack((weights @ exact, weights.sum(axis=1)), axis=1)
            return named(
                self.figures_of(LabelSums(known, others.sum(axis=1), (others.sum(axis=2) > 0).sum(axis=1).astype(np.float64), rows))
            )

        return Resampled(len(self.kept), of, lower=self.lower_figures())


@dataclass(frozen=True)
class Entries:
    """Sums of a sparse matrix of ones over weighted rows. pairs: (E, 2), column and row of each one, in the order of columns."""

    pairs: NDArray[np.int64]
    columns: int

    def __call__(self, weights: Array) -> Array:
        """weights (R, N) -> (R, columns)"""
        found = np.zeros((len(weights), self.columns))
        present, begins = np.unique(self.pairs[:, 0], return_index=True)
        if len(present):
            found[:, present] = np.add.reduceat(weights[:, self.pairs[:, 1]], begins, axis=1)
        return found


def share(part: Array, whole: Array) -> Array:
    """part / whole, where 0 / 0 is 0."""
    return np.divide(part, whole, out=np.zeros(np.broadcast_shapes(part.shape, whole.shape)), where=whole != 0)


def _hash(label: str) -> float:
    return float(int.from_bytes(blake2b(label.encode("utf-8", "surrogatepass"), digest_size=6).digest(), "big"))
