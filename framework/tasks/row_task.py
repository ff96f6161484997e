"""Tasks that answer each row by itself."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric

from framework.data.formats import Batch
from framework.data.spec import DataSpec
from framework.generation.engine import Decode
from framework.metrics.average import Average
from framework.registry import Part
from framework.tasks.base import Result, Task


class RowTask(Task):
    """A task that says one thing of each row, with figures that are means over rows.

    A subclass gives `read`, what the model makes of a batch, `loss` of that, and `answers`, one dict for each row, with its `prediction`.
    input, reference: the columns of a row that are asked and known. figures: name -> what a prediction is worth beside its reference.
    """

    input: ClassVar[str] = "text"
    reference: ClassVar[str] = "label"
    figures: ClassVar[Mapping[str, Callable[[Any, Any], float]]] = {}

    def __init__(self, model: Part, spec: DataSpec):
        super().__init__()
        self.spec, self.model = spec, model(spec=spec)

    def read(self, batch: Batch) -> Any:
        """What the model makes of a batch, with or without targets."""
        raise NotImplementedError

    def loss(self, found: Any, batch: Batch) -> Tensor:
        """The loss of every target: any shape."""
        raise NotImplementedError

    def answers(self, found: Any, batch: Batch) -> list[dict[str, Any]]:
        """A JSON-able dict for each row of `batch["raw"]`, with `prediction`."""
        raise NotImplementedError

    def forward(self, batch: Batch) -> Result:
        found = self.read(batch)
        losses = self.loss(found, batch)
        return Result(losses.sum(), torch.tensor(losses.numel(), device=losses.device), found)

    def evaluate(self, batch: Batch, decode: Decode) -> tuple[Result, list[dict[str, Any]]]:
        result = self(batch)
        known = [{"input": row[self.input], "reference": row[self.reference]} for row in batch["raw"]]
        return result, [row | found for row, found in zip(known, self.answers(result.output, batch), strict=True)]

    def predict(self, batch: Batch, decode: Decode) -> list[dict[str, Any]]:
        return self.answers(self.read(batch), batch)

    def metrics(self) -> dict[str, Metric]:
        return {name: Average() for name in self.figures}

    def update(self, metrics: dict[str, Metric], rows: list[dict[str, Any]]) -> None:
        for name, worth in self.figures.items():
            metrics[name].update([float(worth(row["prediction"], row["reference"])) for row in rows])
