"""Metrics of numbers. Sums are exact, so neither the order of rows nor the number of processes matters."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


class NumberFigures(Metric):
    """pearson, spearman and mean_absolute_error. Rank correlation needs every row, so all are kept. options: of `Metric`."""

    full_state_update = False
    predictions: list[Tensor]
    references: list[Tensor]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.set_dtype(torch.float64)
        self.add_state("predictions", [], dist_reduce_fx="cat")
        self.add_state("references", [], dist_reduce_fx="cat")

    def update(self, predictions: Sequence[float], references: Sequence[float]) -> None:
        self.predictions.append(torch.tensor(predictions, dtype=torch.float64, device=self.device))
        self.references.append(torch.tensor(references, dtype=torch.float64, device=self.device))

    def compute(self) -> dict[str, float]:
        predictions, references = (dim_zero_cat(values).tolist() for values in (self.predictions, self.references))
        return {
            "pearson": pearson(references, predictions),
            "spearman": pearson(ranks(references), ranks(predictions)),
            "mean_absolute_error": math.fsum(map(abs, np.subtract(references, predictions).tolist())) / len(references),
        }


def pearson(x: Sequence[float], y: Sequence[float]) -> float:
    """Linear correlation; NaN where x or y is constant."""
    if min(len(set(x)), len(set(y))) < 2:
        return math.nan
    dx, dy = (np.subtract(values, math.fsum(values) / len(values)) for values in (x, y))
    return math.fsum(dx * dy) / (math.sqrt(math.fsum(dx * dx)) * math.sqrt(math.fsum(dy * dy)))


def ranks(x: Sequence[float]) -> list[float]:
    """The rank of each value, from 1; ties share their mean rank."""
    _, place, count = np.unique(x, return_inverse=True, return_counts=True)
    return list((count.cumsum() - (count - 1) / 2)[place].tolist())
