"""Any number of labels for a text."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, pad

from framework.data.formats import Features, Row
from framework.data.spec import DataSpec
from framework.registry import register
from framework.tasks.capabilities import DistillationOutputs

from .baseline import NaiveBayes
from .builtin_functions import blanked
from .reports import per_label
from .target import Target, Words, listed

if TYPE_CHECKING:
    from torchmetrics import Metric


@register("target")
class LabelsTarget(Target):
    """Any number of labels, each told by a sigmoid of its own. Figures: micro and macro F1, share of texts with all labels right.

    A row's label is a list of names, or one text with them in it; an empty one is a text without any.

    separator: what stands between the labels of a row that has them in one text.
    threshold: a label with at least this probability is told.
    """

    monitor: ClassVar[str] = "validation/micro_f1"
    problem: ClassVar[str | None] = "multi_label_classification"
    rules: ClassVar[dict[str, str]] = {
        "0 < threshold < 1": "threshold is a probability",
        "len(separator) > 0": "labels in one text have something between them",
    }

    def __init__(self, separator: str = ",", threshold: float = 0.5):
        self.separator, self.threshold = separator, threshold

    def value(self, row: Row) -> list[str]:
        """Every label once, sorted."""
        found = row.get("label")
        if found is None:
            raise ValueError("the row has no label; a text without any has an empty one")
        if isinstance(found, dict):
            raise ValueError(f"the label is {found!r}, of type dict; it is a list of names, or one text")
        names = found if isinstance(found, (list, tuple)) else str(found).split(self.separator)
        return sorted({name for name in (str(name).strip() for name in names) if name})

    def fit(self, rows: Iterable[Row]) -> dict[str, Any]:
        labels = tuple(sorted({label for row in rows for label in self.value(row)}))
        if not labels:
            raise ValueError("none of the training rows has a label")
        return {"labels": labels}

    def encode(self, row: Row, spec: DataSpec) -> Features:
        names = self.value(row)
        for label in names:
            if label not in spec.labels:
                raise ValueError(
                    f"label {label!r} does not occur in the training rows; they have {listed(spec.labels)} "
                    f"(task.target.separator={self.separator!r} stands between labels)"
                )
        return {"label": [spec.labels.index(label) for label in names]}

    def collate(self, targets: Sequence[list[int]], spec: DataSpec) -> Tensor:
        """(B, C), 1 for each label that a text has."""
        has = torch.zeros(len(targets), len(spec.labels))
        for row, into in zip(targets, has, strict=True):
            into[row] = 1.0
        return has

    def outputs(self, spec: DataSpec) -> int:
        return len(spec.labels)

    def loss(self, logits: Tensor, targets: Tensor, spec: DataSpec, smoothing: float) -> tuple[Tensor, Tensor]:
        """A target is a label of a text: weight B * C. Smoothing moves each by half its share toward the other answer."""
        targets = targets.to(logits.dtype) * (1 - smoothing) + smoothing / 2
        loss = binary_cross_entropy_with_logits(logits, targets, reduction="sum")
        return loss, torch.tensor(float(logits.numel()), device=loss.device)

    def distillation_outputs(self, outputs: DistillationOutputs) -> DistillationOutputs:
        """Each label of a text is a target with two answers, no and yes: a sigmoid is the softmax of 0 and its score."""
        return DistillationOutputs(outputs.hidden, pad(outputs.logits.flatten()[:, None], (1, 0)))  # (B * C, 2)

    def predict(self, logits: Tensor, spec: DataSpec) -> list[dict[str, Any]]:
        rows = []
        for each in logits.float().sigmoid().tolist():  # C
            scores = dict(zip(spec.labels, each, strict=True))
            rows.append({"prediction": [label for label in spec.labels if scores[label] >= self.threshold], "scores": scores})
        return rows

    def postprocessing(self, spec: DataSpec) -> dict[str, Any]:
        return {"probability": "sigmoid", "threshold": self.threshold}

    def metrics(self, spec: DataSpec) -> "dict[str, Metric]":
        from .label_metric import LabelFigures  # torchmetrics, which reading rows can do without

        return {"labels": LabelFigures(spec.labels)}

    def update(self, metrics: "dict[str, Metric]", rows: Sequence[dict[str, Any]], spec: DataSpec) -> None:
        metrics["labels"].update([row["reference"] for row in rows], [row["prediction"] for row in rows])

    def report(self, rows: Sequence[dict[str, Any]], spec: DataSpec) -> dict[str, str]:
        """report.csv with the figures of each label."""
        return {"report.csv": per_label([(set(row["reference"]), set(row["prediction"])) for row in rows], spec.labels)}

    def builtin(self, split: str) -> Iterator[Row]:
        """Functions of Python's standard library with their keywords blanked: which statements are in them?"""
        for text, kinds, _ in blanked(split):
            yield {"text": text, "label": list(kinds)}

    def baseline(self, train: Iterable[tuple[Words, list[str]]], test: Iterable[tuple[Words, list[str]]]) -> dict[str, float]:
        """A naive Bayes for each label."""
        from .label_metric import LabelFigures  # torchmetrics, as above

        seen, asked = list(train), list(test)
        labels = sorted({label for _, having in seen for label in having})
        tell = {label: NaiveBayes((words, str(label in having)) for words, having in seen) for label in labels}
        found = LabelFigures(labels, alone=True)  # the other ranks do not take part
        found.update([having for _, having in asked], [[label for label in labels if tell[label](words) == "True"] for words, _ in asked])
        return found.compute()
