"""Average of one number a row, exact for any number of batches and ranks."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class Average(Metric):
    """Mean of the values of all rows; NaN without rows.

    The state holds all values, and `math.fsum` adds them: its sum does not depend on their order. Sums of the ranks would differ in their
    last digits from the sum of one process.

    >>> average = Average()
    >>> average.update([1.0, 0.0, 1.0])
    >>> round(float(average.compute()), 3)
    0.667
    """

    full_state_update = False
    values: list[Tensor] | Tensor  # one tensor after the ranks are gathered

    def __init__(self) -> None:
        super().__init__()
        self.add_state("values", [], dist_reduce_fx="cat")

    def update(self, values: Iterable[float]) -> None:
        assert isinstance(self.values, list), "update after the ranks are gathered"
        self.values.append(torch.tensor(list(values), dtype=torch.float64, device=self.device))

    def compute(self) -> Tensor:
        gathered = [self.values] if isinstance(self.values, Tensor) else self.values
        values = [value for part in gathered for value in part.tolist()]
        return torch.tensor(math.fsum(values) / len(values) if values else math.nan, dtype=torch.float64)


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
        super().update([float(self.score(*pair)) for pair in zip(predictions, references, strict=True)])
