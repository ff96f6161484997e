"""Metrics that are the ratio of two sums, averages among them, exact for any number of batches and ranks."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics.utilities.data import dim_zero_cat

from framework.metrics.base import RowMetric
from framework.metrics.resampling import Array


class Ratio(RowMetric):
    """Sum of totals / sum of counts; NaN for 0 / 0.

    The state holds the total of each row, and `math.fsum` rounds their sum once, so it does not depend on the order of rows and ranks.

    >>> errors = Ratio()
    >>> errors.update([1.0, 2.0], [4, 6])
    >>> float(errors.compute())
    0.3
    """

    totals: list[Tensor]
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.set_dtype(torch.float64)  # also of the empty state of a rank without rows
        self.add_state("totals", [], dist_reduce_fx="cat")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, totals: Sequence[float], counts: Sequence[int]) -> None:
        """totals, counts: of each row."""
        assert len(totals) == len(counts), f"{len(totals)} totals, {len(counts)} counts"
        self.totals.append(torch.tensor(totals, dtype=torch.float64, device=self.device))
        self.count += sum(counts)
        self.keep(np.array([totals, counts], dtype=np.float64).T)

    def compute(self) -> Tensor:
        total = math.fsum(dim_zero_cat(self.totals).tolist()) if len(self.totals) else 0.0
        value: Tensor = self.value_of([total, float(self.count)])
        return value

    def figures(self, sums: Array) -> Array:
        with np.errstate(all="ignore"):  # 0 / 0
            return self.of_ratio(sums[:, 0] / sums[:, 1])

    def of_ratio(self, ratio: Array) -> Array:
        """The metric of a ratio; by default it is the ratio itself."""
        return ratio


class Perplexity(Ratio):
    """Perplexity, exp(nats per token or word): update(nats, tokens of each row).

    >>> perplexity = Perplexity()
    >>> perplexity.update([math.log(8)], [3])
    >>> round(float(perplexity.compute()), 6)
    2.0
    """

    higher_is_better = False

    def of_ratio(self, ratio: Array) -> Array:
        return np.exp(ratio)


class BitsPerByte(Ratio):
    """Bits per byte of text, comparable across tokenizers: update(nats, bytes of each row).

    >>> bits = BitsPerByte()
    >>> bits.update([math.log(8)], [3])
    >>> float(bits.compute())
    1.0
    """

    higher_is_better = False

    def of_ratio(self, ratio: Array) -> Array:
        return ratio / math.log(2)


class Average(Ratio):
    """Mean of the values of all rows; NaN without rows.

    >>> average = Average()
    >>> average.update([1.0, 0.0, 1.0])
    >>> round(float(average.compute()), 3)
    0.667
    """

    def update(self, values: Iterable[float]) -> None:  # type: ignore[override]
        values = list(values)
        super().update(values, [1] * len(values))


class RowAverage(Average):
    """Mean over rows of a score of each prediction and its reference. score: (prediction, reference) -> number.

    >>> accuracy = RowAverage(str.__eq__)
    >>> accuracy.update(["good", "bad", "bad"], ["good", "bad", "good"])
    >>> round(float(accuracy.compute()), 3)
    0.667
    """

    def __init__(self, score: Callable[[Any, Any], float]):
        super().__init__()
        self.score = score

    def update(self, predictions: Sequence[Any], references: Sequence[Any]) -> None:  # type: ignore[override]
        super().update(self.score(*pair) for pair in zip(predictions, references, strict=True))
