"""What is told of a text: the contract of the kind `target`.

A target is what the format and the task share: the format reads it from rows, the task learns and tells it.
It has no state; what the training rows teach stands in the data spec.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from torch import Tensor

from framework.data.formats import Features, Row
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.registry import describe
from framework.tasks.capabilities import DistillationOutputs

if TYPE_CHECKING:
    from torchmetrics import Metric

Words = set[str]  # the features of a text that a baseline sees


class Target:
    """One option of the slot.

    monitor, mode: the figure that the best checkpoint is best at.
    problem: `problem_type` of the exported config.json.
    variant: its name in the `head_variant` of the task; empty = published heads compute it.
    """

    monitor: ClassVar[str]
    problem: ClassVar[str | None] = None
    variant: ClassVar[str] = ""
    mode: ClassVar[Literal["min", "max"]] = "max"
    rules: ClassVar[dict[str, str]] = {}

    def value(self, row: Row) -> Any:
        """What the row tells, as JSON has it: a row's `reference`. ValueError: it tells nothing of this kind."""
        raise NotImplementedError

    def fit(self, rows: Iterable[Row]) -> dict[str, Any]:
        """What the training rows teach, as `Format.fit` gives it."""
        raise NotImplementedError

    def encode(self, row: Row, spec: DataSpec) -> Features:
        """The value as one feature, named `label`."""
        raise NotImplementedError

    def collate(self, targets: Sequence[Any], spec: DataSpec) -> Tensor:
        """The targets of a batch as a tensor: (B,) or (B, C)."""
        raise NotImplementedError

    def outputs(self, spec: DataSpec) -> int:
        """C, the scores that the head gives for a text."""
        raise NotImplementedError

    def loss(self, logits: Tensor, targets: Tensor, spec: DataSpec, smoothing: float) -> tuple[Tensor, Tensor]:
        """Loss of scores (B, C), summed, and its weight."""
        raise NotImplementedError

    def distillation_outputs(self, outputs: DistillationOutputs) -> DistillationOutputs:
        """Pooled states (B, D) and logits (N, classes) of the targets, from pooled states and scores (B, C). UserError: there are no
        probabilities to compare."""
        raise UserError(f"{describe(type(self))} cannot be distilled: it has no probabilities (distillation_outputs)")

    def predict(self, logits: Tensor, spec: DataSpec) -> list[dict[str, Any]]:
        """What scores (B, C) say: a row with its `prediction` for each text."""
        raise NotImplementedError

    def postprocessing(self, spec: DataSpec) -> dict[str, Any]:
        """How `predict` makes a prediction of scores, for who does it elsewhere: JSON-able."""
        return {}

    def metrics(self, spec: DataSpec) -> "dict[str, Metric]":
        """Fresh metrics, as `Task.metrics`."""
        raise NotImplementedError

    def update(self, metrics: "dict[str, Metric]", rows: Sequence[dict[str, Any]], spec: DataSpec) -> None:
        """Feeds rows to the metrics, as `Task.update`."""
        raise NotImplementedError

    def report(self, rows: Sequence[dict[str, Any]], spec: DataSpec) -> dict[str, str]:
        """Files of the test rows, as `Task.report`."""
        return {}

    def builtin(self, split: str) -> Iterator[Row]:
        """Rows that need no download."""
        raise NotImplementedError

    def baseline(self, train: Iterable[tuple[Words, Any]], test: Iterable[tuple[Words, Any]]) -> dict[str, float]:
        """Figures of a simple method that sees the words of a text and nothing of their order."""
        raise NotImplementedError


def listed(names: Sequence[str], most: int = 12) -> str:
    """The first names, and how many more there are."""
    said = ", ".join(repr(name) for name in names[:most]) or "none"
    return f"{said} and {len(names) - most} more" if len(names) > most else said
