"""Figures of several labels for a text, made of counts alone: right to the last digit on any number of batches and ranks."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from .baseline import figures_of_counts


class LabelFigures(Metric):
    """micro_f1, macro_f1 and subset_accuracy, the share of texts with all labels right; a label that is neither told nor true
    counts 0 in the macro mean, as in scikit-learn.

    update(references, predictions): the labels of each text.
    alone: what this process has seen is all; the others are not asked.
    """

    full_state_update = False
    right: Tensor
    told: Tensor
    true: Tensor
    exact: Tensor
    texts: Tensor

    def __init__(self, labels: Sequence[str], alone: bool = False):
        super().__init__(sync_on_compute=not alone)
        self.labels = tuple(labels)
        for name in ("right", "told", "true"):
            self.add_state(name, torch.zeros(len(labels), dtype=torch.long), dist_reduce_fx="sum")  # (C,)
        for name in ("exact", "texts"):
            self.add_state(name, torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, references: Sequence[Iterable[str]], predictions: Sequence[Iterable[str]]) -> None:
        true, told = self._has(references), self._has(predictions)  # (B, C)
        self.right += (true & told).sum(dim=0)
        self.told += told.sum(dim=0)
        self.true += true.sum(dim=0)
        self.exact += (true == told).all(dim=1).sum()
        self.texts += len(true)

    def _has(self, texts: Sequence[Iterable[str]]) -> Tensor:
        return torch.tensor([[label in names for label in self.labels] for names in map(set, texts)], device=self.device)

    def compute(self) -> dict[str, float]:
        return figures_of_counts(self.right.tolist(), self.told.tolist(), self.true.tolist(), int(self.exact), int(self.texts))
