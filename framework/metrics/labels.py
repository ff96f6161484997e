"""Counts of labels, from which precision, recall and F1 are computed."""

from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat


class LabelCounts(Metric):
    """Base class of metrics of labels: how often each was predicted rightly, predicted, and true. options: of `Metric`.

    A label that is not among `labels`, as only validation or test rows may have, is counted too: its occurrences are missed ones, and its
    F1 is 0. The states are counts, and one number for each such label, so any split into batches and ranks gives the same figures.

    >>> class Figures(LabelCounts):
    ...     def update(self, predictions, references):
    ...         self.add([a for a, b in zip(predictions, references) if a == b], predictions, references)
    ...
    ...     def compute(self):
    ...         return {"f1": torch.tensor(self.micro()[2]), "f1_macro": torch.tensor(self.macro_f1())}
    >>> figures = Figures(["a", "b"])
    >>> figures.update(["a", "a", "b", "b"], ["a", "a", "b", "new"])
    >>> [round(float(value), 4) for value in figures.compute().values()]
    [0.75, 0.5556]
    """

    full_state_update = False
    higher_is_better = True
    counts: Tensor  # (labels, 3): right, predicted, true
    others: Tensor  # (3,): of all labels that are not among them
    names: list[Tensor]  # a hash of each of those

    def __init__(self, labels: Sequence[str], **options: Any):
        super().__init__(**options)
        self.set_dtype(torch.float64)  # of `names`, also of a rank that has none; holds hashes of 48 bits exactly
        self.labels = tuple(labels)
        self.numbers = {label: number for number, label in enumerate(self.labels)}
        self.add_state("counts", torch.zeros(len(self.labels), 3, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("others", torch.zeros(3, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("names", [], dist_reduce_fx="cat")

    def add(self, right: Iterable[str], predicted: Iterable[str], true: Iterable[str]) -> None:
        """Adds occurrences of labels."""
        rows, columns, values = [], [], []
        unknown: set[str] = set()
        for column, labels in enumerate((right, predicted, true)):
            for label, count in Counter(labels).items():
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

    def micro(self) -> tuple[float, float, float]:
        """Precision, recall and F1 over all labels together; 0 / 0 is 0."""
        right, predicted, true = (self.counts.sum(dim=0) + self.others).tolist()
        return share(right, predicted), share(right, true), share(2 * right, predicted + true)

    def f1_of_each(self) -> dict[str, float]:
        """The F1 of each label; 0 / 0 is 0."""
        rows = self.counts.tolist()
        return {label: share(2 * row[0], row[1] + row[2]) for label, row in zip(self.labels, rows, strict=True)}

    def macro_f1(self, occurring: bool = True) -> float:
        """The mean F1 of the labels. occurring: without those that are neither predicted nor true."""
        each = list(self.f1_of_each().values())
        counted = [f1 for f1, row in zip(each, self.counts.tolist(), strict=True) if row[1] + row[2] or not occurring]
        unknown = len(dim_zero_cat(self.names).unique()) if len(self.names) else 0
        return share(sum(counted), len(counted) + unknown)


def share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _hash(label: str) -> float:
    return float(int.from_bytes(blake2b(label.encode("utf-8", "surrogatepass"), digest_size=6).digest(), "big"))
