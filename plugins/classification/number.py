"""A number for a text."""

import math
from collections.abc import Callable, Iterable, Iterator
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from framework import DataSpec, Row, UserError, register

from .baseline import LinearWords
from .builtin_functions import blanked
from .linear import STRONG_PENALTY
from .target import Target, Words

if TYPE_CHECKING:
    from torchmetrics import Metric

LARGEST = 1e100  # a label; its square must be a floating-point number


@register("target")
class NumberTarget(Target):
    """A number (a similarity, a grade), by squared error. Metrics: Pearson's and Spearman's correlation, mean absolute error.

    The model predicts the number in standard deviations of the training rows from their mean, so its unit does not matter.
    """

    monitor = "validation/pearson"
    problem: ClassVar[str | None] = "regression"
    variant: ClassVar[str] = "in standard deviations"

    def value(self, row: Row) -> float:
        label = row.get("label")
        try:
            number = math.nan if label is None or isinstance(label, bool) or "_" in str(label) else float(label)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not abs(number) <= LARGEST:  # also false for NaN
            raise ValueError(f"the label is {shortened(label)}; it must be a number between {-LARGEST:g} and {LARGEST:g}")
        return number

    def fit(self, rows: Iterable[Row]) -> dict[str, Any]:
        numbers = [self.value(row) for row in rows]
        if len(set(numbers)) < 2:
            raise ValueError(f"at least two different numbers are needed; the training rows have {sorted(set(numbers))}")
        mean = math.fsum(numbers) / len(numbers)
        deviation = math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / len(numbers))
        if not deviation:
            raise ValueError(
                f"the labels, {min(numbers)} to {max(numbers)}, differ too little for floating-point numbers; write them in another unit"
            )
        return {"mean": mean, "deviation": deviation}

    def encode(self, row: Row, spec: DataSpec) -> float:
        mean, deviation = scale(spec)
        return (self.value(row) - mean) / deviation

    def loss(self, logits: Tensor, targets: Tensor, spec: DataSpec, smoothing: float) -> tuple[Tensor, Tensor]:
        loss = mse_loss(logits[:, 0], targets.to(logits.dtype), reduction="sum")
        return loss, torch.full((), float(len(logits)), device=loss.device)

    def predict(self, logits: Tensor, spec: DataSpec) -> list[dict[str, Any]]:
        mean, deviation = scale(spec)
        return [{"prediction": mean + deviation * score} for score in logits[:, 0].tolist()]

    def postprocessing(self, spec: DataSpec) -> dict[str, Any]:
        """The prediction is mean + deviation * score."""
        return dict(zip(("mean", "deviation"), scale(spec), strict=True))

    def metrics(self, spec: DataSpec, **options: Any) -> "dict[str, Metric]":
        from .number_metric import NumberFigures  # torchmetrics: formats do without

        return {"number": NumberFigures(**options)}

    def builtin(self, split: str) -> Iterator[Row]:
        """Functions of Python's standard library, keywords and line breaks removed: how many statements do they have?"""
        for text, _, statements in blanked(split):
            yield {"text": text, "label": statements}

    def baseline(self, rows: Iterable[tuple[Words, float]]) -> Callable[[Words], float]:
        """Ridge regression of words: Hoerl and Kennard 1970, https://doi.org/10.2307/1267351"""
        texts, values = zip(*rows, strict=True)
        mean = math.fsum(values) / len(values)
        spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values)) or 1.0
        targets = torch.tensor([[(value - mean) / spread] for value in values])
        score = LinearWords(texts, 1, lambda scores: mse_loss(scores, targets, reduction="sum"), STRONG_PENALTY)
        return lambda words: mean + spread * float(score(words))


def scale(spec: DataSpec) -> tuple[float, float]:
    """Mean and standard deviation of the training labels. UserError: the data spec of a run has none."""
    mean, deviation = (spec.statistic(name, float) for name in ("mean", "deviation"))
    if deviation <= 0:
        raise UserError(f"data_spec.json: deviation in statistics is {deviation} and must be positive")
    return mean, deviation
