"""A number for a text."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from framework.data.formats import Features, Row
from framework.data.spec import DataSpec
from framework.registry import register

from .builtin_functions import blanked
from .correlation import number_figures
from .ridge import Ridge
from .target import Target, Words

if TYPE_CHECKING:
    from torchmetrics import Metric


@register("target")
class NumberTarget(Target):
    """A number (a similarity, a grade), learned by its squared error. Figures: Pearson's and Spearman's correlation, mean absolute error.

    The model tells how many standard deviations of the training rows a number is from their mean, so its unit does not matter.
    """

    monitor: ClassVar[str] = "validation/pearson"
    problem: ClassVar[str | None] = "regression"
    variant: ClassVar[str] = "in standard deviations"

    def value(self, row: Row) -> float:
        found = row.get("label")
        try:
            number = math.nan if found is None or isinstance(found, bool) else float(found)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(f"the label is {found!r}, and a number is wanted")
        return number

    def fit(self, rows: Iterable[Row]) -> dict[str, Any]:
        numbers = [self.value(row) for row in rows]
        if len(set(numbers)) < 2:
            raise ValueError(f"to tell numbers apart there must be two at least; the training rows have {sorted(set(numbers))}")
        mean = math.fsum(numbers) / len(numbers)
        return {"mean": mean, "deviation": math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / len(numbers))}

    def encode(self, row: Row, spec: DataSpec) -> Features:
        return {"label": (self.value(row) - spec.statistics["mean"]) / spec.statistics["deviation"]}

    def collate(self, targets: Sequence[float], spec: DataSpec) -> Tensor:
        return torch.tensor(targets)  # (B,)

    def outputs(self, spec: DataSpec) -> int:
        return 1

    def loss(self, logits: Tensor, targets: Tensor, spec: DataSpec, smoothing: float) -> tuple[Tensor, Tensor]:
        loss = mse_loss(logits[:, 0], targets.to(logits.dtype), reduction="sum")
        return loss, torch.tensor(float(len(logits)), device=loss.device)

    def predict(self, logits: Tensor, spec: DataSpec) -> list[dict[str, Any]]:
        mean, deviation = spec.statistics["mean"], spec.statistics["deviation"]
        return [{"prediction": mean + deviation * told} for told in logits[:, 0].tolist()]

    def postprocessing(self, spec: DataSpec) -> dict[str, Any]:
        """The number is mean + deviation * score."""
        return {"mean": spec.statistics["mean"], "deviation": spec.statistics["deviation"]}

    def metrics(self, spec: DataSpec) -> "dict[str, Metric]":
        from .number_metric import NumberFigures  # torchmetrics, which reading rows can do without

        return {"number": NumberFigures()}

    def update(self, metrics: "dict[str, Metric]", rows: Sequence[dict[str, Any]], spec: DataSpec) -> None:
        metrics["number"].update([row["reference"] for row in rows], [row["prediction"] for row in rows])

    def builtin(self, split: str) -> Iterator[Row]:
        """Functions of Python's standard library, keywords and line breaks taken out: how many statements do they have?"""
        for text, _, statements in blanked(split):
            yield {"text": text, "label": statements}

    def baseline(self, train: Iterable[tuple[Words, float]], test: Iterable[tuple[Words, float]]) -> dict[str, float]:
        """Ridge regression."""
        tell = Ridge(list(train))
        asked = list(test)
        return number_figures([number for _, number in asked], tell([words for words, _ in asked]))
