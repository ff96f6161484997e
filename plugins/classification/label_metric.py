"""Metrics of several labels for a text, from counts: exact on any number of batches and ranks."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from .baseline import figures_of_counts


class LabelFigures(Metric):
    """micro_f1, macro_f1 and subset_accuracy, the share of texts with all labels right; a label that is neither predicted nor true
    counts 0 in the macro mean, as in scikit-learn.

    update(predictions, references): the labels of each text.
    sync: whether the counts of all processes are summed.
    """

    full_state_update = False
    right: Tensor
    predicted: Tensor
    true: Tensor
    exact: Tensor
    texts: Tensor

    def __init__(self, labels: Sequence[str], sync: bool = True):
        super().__init__(sync_on_compute=sync)
        self.labels = tuple(labels)
        for name in ("right", "predicted", "true"):
            self.add_state(name, torch.zeros(len(labels), dtype=torch.long), dist_reduce_fx="sum")  # (C,)
        for name in ("exact", "texts"):
            self.add_state(name, torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, predictions: Sequence[Iterable[str]], references: Sequence[Iterable[str]]) -> None:
        predicted, true = self._multi_hot(predictions), self._multi_hot(references)  # (B, C)
        self.right += (true & predicted).sum(dim=0)
        self.predicted += predicted.sum(dim=0)
        self.true += true.sum(dim=0)
        self.exact += (true == predicted).all(dim=1).sum()
        self.texts += len(true)

    def _multi_hot(self, texts: Sequence[Iterable[str]]) -> Tensor:
        return torch.tensor([[label in names for label in self.labels] for names in map(set, texts)], device=self.device)

    def compute(self) -> dict[str, float]:
        return figures_of_counts(self.right.tolist(), self.predicted.tolist(), self.true.tolist(), int(self.exact), int(self.texts))
