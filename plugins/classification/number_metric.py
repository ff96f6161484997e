"""Metrics of numbers. Sums are exact, so neither the order of rows nor the number of processes matters."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from framework import Resampled, RowMetric

Array = NDArray[np.float64]


class NumberFigures(RowMetric):
    """pearson, spearman and mean_absolute_error. Rank correlation needs every row, so all are kept. options: of `Metric`."""

    lower_is_better: ClassVar[tuple[str, ...]] = ("mean_absolute_error",)
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
        self.keep(np.array([predictions, references], dtype=np.float64).T)

    def compute(self) -> dict[str, float]:
        predictions, references = (dim_zero_cat(values).tolist() for values in (self.predictions, self.references))
        return {
            "pearson": pearson(references, predictions),
            "spearman": pearson(ranks(references), ranks(predictions)),
            "mean_absolute_error": math.fsum(map(abs, np.subtract(references, predictions).tolist())) / len(references),
        }

    def resampled(self) -> Resampled:
        assert self.kept is not None, "keep_rows comes before the rows"
        predicted, true = np.concatenate(self.kept).T if self.kept else np.empty((2, 0))
        places = [np.unique(values, return_inverse=True)[1] for values in (predicted, true)]  # ties share one
        errors = np.abs(predicted - true)

        def of(weights: Array) -> dict[str, Array]:
            return {
                "pearson": weighted_pearson(predicted[None], true[None], weights),
                "spearman": weighted_pearson(weighted_ranks(places[0], weights), weighted_ranks(places[1], weights), weights),
                "mean_absolute_error": weights @ errors / weights.sum(axis=1),
            }

        return Resampled(len(errors), of, lower=self.lower_figures())


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


def weighted_pearson(x: Array, y: Array, weights: Array) -> Array:
    """Linear correlation of rows that are counted as often as weights (R, N) say, (R,). x, y: (R, N), or (1, N) for all."""
    total = weights.sum(axis=1, keepdims=True)
    dx, dy = (values - (weights * values).sum(axis=1, keepdims=True) / total for values in (x, y))
    with np.errstate(all="ignore"):  # 0 / 0: constant
        found: Array = (weights * dx * dy).sum(axis=1) / np.sqrt((weights * dx * dx).sum(axis=1) * (weights * dy * dy).sum(axis=1))
    return found


def weighted_ranks(place: NDArray[np.int64], weights: Array) -> Array:
    """The rank of each row among rows that are counted as often as weights (R, N) say, (R, N). place: (N,), of its value among all."""
    columns = int(place.max(initial=-1)) + 1
    counts = np.zeros((len(weights), columns))
    order = np.argsort(place, kind="stable")
    if columns:
        counts = np.add.reduceat(weights[:, order], np.searchsorted(place[order], np.arange(columns)), axis=1)
    found: Array = (counts.cumsum(axis=1) - (counts - 1) / 2)[:, place]
    return found
