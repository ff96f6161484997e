"""Calibration: whether events are as frequent as the probabilities that are given to them."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from framework.metrics.base import RowMetric
from framework.metrics.resampling import Array, Figures, Resampled

BINS = 15
_ONE = 2**32  # probabilities are added as whole numbers of 1 / 2**32, so that their sum does not depend on the order of rows and ranks


class CalibrationError(RowMetric):
    """Expected calibration error: the mean difference between probability and frequency, over 15 bins of equal width. Guo et al. 2017,
    section 2, https://arxiv.org/abs/1706.04599

    `update` takes rows, each of any number of events: their probabilities, and whether they occurred. NaN without events. It has no
    interval: a resample of few rows is worse calibrated than they are, by chance.

    >>> error = CalibrationError()
    >>> error.update([[0.9], [0.9, 0.2]], [[True], [False, False]])
    >>> round(float(error.compute()), 4)  # |1.8 - 1| and |0.2 - 0|, of three events
    0.3333
    """

    higher_is_better = False
    gaps: Tensor  # (BINS,): sum of the probabilities less the number of events that occurred
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.set_dtype(torch.float64)
        self.add_state("gaps", torch.zeros(BINS, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self._rows = 0

    def update(self, probabilities: Sequence[Iterable[float]], occurred: Sequence[Iterable[bool]]) -> None:
        given = torch.tensor([value for row in probabilities for value in row], dtype=torch.float64)
        right = torch.tensor([bool(value) for row in occurred for value in row], dtype=torch.int64)
        assert len(given) == len(right), f"{len(given)} probabilities, {len(right)} events"
        places = (given * BINS).long().clamp(max=BINS - 1)
        gaps = torch.zeros(BINS, dtype=torch.int64).index_add(0, places, (given * _ONE).round().long() - right * _ONE)
        self.gaps += gaps.to(self.gaps.device)
        self.count += len(given)
        self._rows += len(probabilities)

    def compute(self) -> Any:
        return self.gaps.abs().sum().double() / _ONE / self.count

    def resampled(self) -> Resampled:
        return Resampled(self._rows, _nothing, lower=self.lower_figures())


def _nothing(weights: Array) -> Figures:
    return {}
