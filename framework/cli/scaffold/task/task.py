"""Which label a text has.

Shapes: B rows, T tokens, D model width, C labels.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from framework import Batch, DataSpec, Part, choice, register
from framework.tasks.row_task import RowTask


@register("task")
class SpecimenTask(RowTask):
    """One label for a text, by a linear layer over the mean of its states.

    dropout: share of the features that training leaves out.
    """

    format: ClassVar[Any] = choice("format", "specimen")
    rules: ClassVar[dict[str, str]] = {
        "'cross' not in provided": "a model that reads one text to write another finds only one here",
        "'untied' not in provided": "nothing is written, so an output layer of its own would never learn; model.tied=true has none",
        "0 <= dropout < 1": "a share is left out, and not everything",
    }
    figures: ClassVar[dict[str, Any]] = {"accuracy": lambda prediction, label: prediction == str(label)}  # the mean over the rows
    monitor = "validation/accuracy"
    mode = "max"

    def __init__(self, model: Part, spec: DataSpec, dropout: float = 0.1):
        super().__init__(model, spec)
        self.dropout, self.head = nn.Dropout(dropout), nn.Linear(self.model.dim, len(spec.labels))

    def read(self, batch: Batch) -> Tensor:
        """The scores of the labels."""
        states = self.model(batch["ids"], padding_mask=batch["padding_mask"])  # (B, T, D)
        padding_mask = torch.ones_like(batch["ids"]) if batch["padding_mask"] is None else batch["padding_mask"]  # (B, T)
        mean = (states * padding_mask[..., None]).sum(dim=1) / padding_mask.sum(dim=1, keepdim=True)  # (B, D)
        return self.head(self.dropout(mean))  # (B, C)

    def loss(self, found: Tensor, batch: Batch) -> Tensor:
        """One for every row: the learner adds them up, and divides by their number in the whole global batch."""
        return cross_entropy(found, batch["label"], reduction="none")  # (B,)

    def answers(self, found: Tensor, batch: Batch) -> list[dict[str, Any]]:
        best = found.float().softmax(dim=-1).max(dim=-1)
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [{"prediction": self.spec.labels[label], "score": score} for label, score in pairs]
