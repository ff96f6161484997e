"""What a task computes: the model half of a plugin. Plain PyTorch; no Lightning, Hydra or W&B."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torchmetrics import Metric

from framework.data.formats import Batch, Format, Row
from framework.data.spec import DataSpec
from framework.generation.engine import Decode
from framework.registry import choice


@dataclass
class Result:
    """loss: summed over targets. weight: their number; the learner divides by the weight of the whole global batch.
    output: whatever the task wants to use again."""

    loss: Tensor
    weight: Tensor
    output: Any = None


class Task(nn.Module):
    """A model with a hf_task.

    A subclass takes `model: Part, spec: DataSpec` and options of its own, and builds `self.model = model(spec=spec)`.
    format: how rows become batches: columns, encoding, built-in rows.
    consumed: options that the framework reads and no constructor sees, beside those of the bases.
    """

    consumed: ClassVar[tuple[str, ...]] = ("format",)
    format: ClassVar[Any] = choice("format", None)
    rules: ClassVar[dict[str, str]] = {}
    provides: ClassVar[tuple[str, ...]] = ()
    monitor: str = "validation/loss"  # what the best checkpoint is best at; an option may decide, in `__init__`
    mode: str = "min"

    model: Any  # what its family offers: `forward`, `encode`, `decode`, `logits`
    spec: DataSpec

    def forward(self, batch: Batch) -> Result:
        """Loss of a batch with targets."""
        raise NotImplementedError

    def predict(self, batch: Batch, decode: Decode) -> list[dict[str, Any]]:
        """One JSON-able dict a row: `prediction`, `score` and what else is worth keeping. Needs no targets."""
        raise NotImplementedError

    def evaluate(self, batch: Batch, decode: Decode) -> tuple[Result, list[dict[str, Any]]]:
        """Loss and the rows that `update` makes figures of (with `input`, `reference`, `prediction`): what stands in
        predictions.jsonl. A task that decodes may leave out rows that `decode.wanted` does not name."""
        raise NotImplementedError

    def metrics(self) -> dict[str, Metric]:
        """Fresh metrics by the name of their figure (`loss` is the learner's). One whose `compute` gives a mapping gives several
        figures, each by its own key."""
        return {}

    def update(self, metrics: dict[str, Metric], rows: list[dict[str, Any]]) -> None:
        """Feeds rows as `evaluate` gave them to the metrics."""

    def baseline(self, format: Format, train: Iterable[Row], test: Iterable[Row]) -> dict[str, float]:
        """Figures of the format's simple method on the test rows; a task whose options say how to measure, measures it so too.
        One process of several measures it: a `Metric` used here must not wait for the others (`sync_on_compute=False`)."""
        return format.baseline(train, test)

    def report(self, rows: list[dict[str, Any]]) -> dict[str, str]:
        """Files to write beside predictions.jsonl after the test, name -> text, made of all its rows (a confusion matrix)."""
        return {}


class WritingTask(Task):
    """A task whose answers are texts, written token by token.

    decoding: how they are written.
    validation_rows: how many rows of the validation part are written at each validation, spread evenly; null = all.
    test_rows: how many rows of the test part are written at the end; null = all.
    """

    consumed: ClassVar[tuple[str, ...]] = ("decoding", "validation_rows", "test_rows")
    decoding: ClassVar[Any] = choice("decoding", "greedy")
    validation_rows: ClassVar[int | None] = 200
    test_rows: ClassVar[int | None] = None
