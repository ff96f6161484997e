"""The mean of one number a row: the same on any number of batches and ranks, to the last bit."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class Average(Metric):
    """Mean of the values of all rows; without a row not a number.

    The values are kept and added up at the end by `math.fsum`, whose sum does not depend on the order: what every rank adds up by itself
    would differ in its last digits from what one process does.
    """

    full_state_update = False
    values: list[Tensor] | Tensor  # one tensor once the ranks' are gathered

    def __init__(self) -> None:
        super().__init__()
        self.add_state("values", [], dist_reduce_fx="cat")

    def update(self, values: Iterable[float]) -> None:
        assert isinstance(self.values, list), "gathered values take no more"
        self.values.append(torch.tensor(list(values), dtype=torch.float64, device=self.device))

    def compute(self) -> Tensor:
        gathered = [self.values] if isinstance(self.values, Tensor) else self.values
        values = [value for part in gathered for value in part.tolist()]
        return torch.tensor(math.fsum(values) / len(values) if values else math.nan, dtype=torch.float64)


class RowAverage(Average):
    """Mean over rows of a score of each prediction and its reference: `RowAverage(str.__eq__)` is accuracy.

    score: (prediction, reference) -> number.
    """

    def __init__(self, score: Callable[[Any, Any], float]):
        super().__init__()
        self.score = score

    def update(self, predictions: Sequence[Any], references: Sequence[Any]) -> None:  # type: ignore[override]
        super().update([float(self.score(*pair)) for pair in zip(predictions, references, strict=True)])
