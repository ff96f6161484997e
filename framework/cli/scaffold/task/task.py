"""The task specimen: one label for a text.

Shapes: B rows, T tokens, D model width, C labels.
"""

from collections import Counter
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from framework import BaselineData, Batch, DataSpec, Format, Part, Result, Task, choice, register


@register("task")
class SpecimenTask(Task):
    """One label for a text, by a linear layer over the mean of its hidden states.

    dropout: dropout probability of the pooled features.
    """

    format = choice("format", "specimen")
    rules: ClassVar[dict[str, str]] = {
        "'cross' not in provided": "this task has one text: choose an encoder (model=encoder_only) or a decoder (model=decoder_only)",
        "'untied' not in provided": "no text is generated, so an untied lm_head would never learn; model.tied=true has none",
        "0 <= dropout < 1": "dropout must be in [0, 1)",
    }
    monitor = "validation/accuracy"
    mode = "max"

    def __init__(self, model: Part, spec: DataSpec, format: Format, dropout: float = 0.1):
        super().__init__(model, spec, format)
        self.dropout, self.head = nn.Dropout(dropout), nn.Linear(self.model.dim, len(spec.labels))

    def forward(self, batch: Batch) -> Result:
        states = self.model(batch["ids"], padding_mask=batch["padding_mask"])  # (B, T, D)
        padding_mask = torch.ones_like(batch["ids"]) if batch["padding_mask"] is None else batch["padding_mask"]  # (B, T)
        mean = (states * padding_mask[..., None]).sum(dim=1) / padding_mask.sum(dim=1, keepdim=True)  # (B, D)
        logits = self.head(self.dropout(mean))  # (B, C)
        if "label" not in batch:  # texts to predict
            return Result.of(logits.new_zeros(0), logits)
        return Result.of(cross_entropy(logits, batch["label"], reduction="none"), logits)

    def rows(self, result: Result, batch: Batch) -> list[dict[str, Any]]:
        best = result.output.float().softmax(dim=-1).max(dim=-1)
        return [
            {"input": row["text"], "reference": row.get("label"), "prediction": self.spec.labels[label], "score": score}
            for row, label, score in zip(batch["@rows"].raw, best.indices.tolist(), best.values.tolist(), strict=True)
        ]

    def metrics(self) -> dict[str, Any]:
        from framework import RowAverage  # loads torchmetrics, which takes a second and no config needs

        return {"accuracy": RowAverage(lambda prediction, label: prediction == str(label))}

    def baseline(self, data: BaselineData) -> dict[str, float]:
        """The most frequent label of the training rows."""
        most = Counter(str(row["label"]) for row in data.train).most_common(1)[0][0]
        right = [str(row["label"]) == most for row in data.test]
        return {"accuracy": sum(right) / len(right)}
