"""Figures of numbers, with all rows at hand."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from .correlation import number_figures


class NumberFigures(Metric):
    """pearson, spearman and mean_absolute_error. update(references, predictions).

    Ranks need every row, so every row is kept; sums are exact, so no order of rows and no number of ranks shows in a digit.
    """

    full_state_update = False
    references: list[Tensor]
    predictions: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.set_dtype(torch.float64)
        self.add_state("references", [], dist_reduce_fx="cat")
        self.add_state("predictions", [], dist_reduce_fx="cat")

    def update(self, references: Sequence[float], predictions: Sequence[float]) -> None:
        self.references.append(torch.tensor(references, dtype=torch.float64, device=self.device))
        self.predictions.append(torch.tensor(predictions, dtype=torch.float64, device=self.device))

    def compute(self) -> dict[str, float]:
        return number_figures(dim_zero_cat(self.references).tolist(), dim_zero_cat(self.predictions).tolist())
