"""Metrics of numbers."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from .correlation import number_figures


class NumberFigures(Metric):
    """pearson, spearman and mean_absolute_error. update(predictions, references).

    Rank correlation needs every row, so all are kept; sums are exact, so neither the order of rows nor the number of processes matters.
    """

    full_state_update = False
    predictions: list[Tensor]
    references: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.set_dtype(torch.float64)
        self.add_state("predictions", [], dist_reduce_fx="cat")
        self.add_state("references", [], dist_reduce_fx="cat")

    def update(self, predictions: Sequence[float], references: Sequence[float]) -> None:
        self.predictions.append(torch.tensor(predictions, dtype=torch.float64, device=self.device))
        self.references.append(torch.tensor(references, dtype=torch.float64, device=self.device))

    def compute(self) -> dict[str, float]:
        return number_figures(dim_zero_cat(self.predictions).tolist(), dim_zero_cat(self.references).tolist())
