"""Any number of labels for a text."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, pad

from framework import DataSpec, DistillationOutputs, Row, register

from .baseline import LinearWords
from .builtin_functions import blanked
from .reports import per_label, with_unseen
from .target import CALIBRATION, Target, Words, check_numbers, count_labels, label_name

if TYPE_CHECKING:
    from torchmetrics import Metric


@register("target")
class LabelsTarget(Target):
    """Any number of labels, each by a sigmoid of its score. Metrics: micro and macro F1, subset accuracy.

    The label of a row is a list of names, or one text of names; it is empty for a text without labels. Where each column is a label and has
    0 or 1, data.columns.label=[ONE,OTHER] gives the names of those that have 1.

    separator: separates the labels in one text.
    threshold: labels of at least this probability are predicted.
    """

    monitor = "validation/micro_f1"
    problem: ClassVar[str | None] = "multi_label_classification"
    rules: ClassVar[dict[str, str]] = {
        "0 < threshold < 1": "threshold must be in (0, 1)",
        "len(separator) > 0": "separator must not be empty",
    }

    def __init__(self, separator: str = ",", threshold: float = 0.5):
        self.separator, self.threshold = separator, threshold

    def outputs(self, spec: DataSpec) -> int:
        return count_labels(spec)

    def value(self, row: Row) -> list[str]:
        """Every label once, sorted."""
        label = row.get("label")
        if label is None:
            raise ValueError("the row has no label: write it, an empty one for a text without labels")
        if isinstance(label, dict):
            raise ValueError(f"the label is {shortened(label)}, of type dict; it must be a list of names, or one text")
        if isinstance(label, (list, tuple)):
            names = [label_name(each) for each in label]
        else:
            names = [name.strip() for name in label_name(label).split(self.separator)]
        return sorted({name for name in names if name})

    def fit(self, rows: Iterable[Row]) -> dict[str, Any]:
        labels = tuple(sorted({label for row in rows for label in self.value(row)}))
        if not labels:
            raise ValueError("none of the training rows has a label")
        if set(labels) <= {"0", "1"}:
            raise ValueError("the only labels are 0 and 1; where each column is a label: data.columns.label=[ONE,OTHER]")
        check_numbers(labels)
        return {"labels": labels}

    def row_labels(self, row: Row) -> Sequence[str]:
        return self.value(row)

    def encode(self, row: Row, spec: DataSpec) -> list[int]:
        """The numbers of the labels, without those that the training rows lack."""
        return [spec.labels.index(label) for label in self.value(row) if label in spec.labels]

    def collate(self, values: Sequence[list[int]], spec: DataSpec) -> Tensor:
        """(B, C), 1 for each label of a text."""
        targets = torch.zeros(len(values), len(spec.labels))
        for labels, row in zip(values, targets, strict=True):
            row[labels] = 1.0
        return targets

    def loss(self, logits: Tensor, targets: Tensor, spec: DataSpec, smoothing: float) -> tuple[Tensor, Tensor]:
        """A target is a label of a text: weight B * C. Smoothing moves each target by half its share toward the other class."""
        targets = targets.to(logits.dtype) * (1 - smoothing) + smoothing / 2
        loss = binary_cross_entropy_with_logits(logits, targets, reduction="sum")
        return loss, torch.full((), float(logits.numel()), device=loss.device)

    def distillation_outputs(self, outputs: DistillationOutputs) -> DistillationOutputs:
        """Each label of a text is a target of two classes, no and yes: a sigmoid is the softmax of 0 and its score."""
        return DistillationOutputs(outputs.hidden, pad(outputs.logits.flatten()[:, None], (1, 0)))  # (B * C, 2)

    def predict(self, logits: Tensor, spec: DataSpec) -> list[dict[str, Any]]:
        rows = []
        for probabilities in logits.float().sigmoid().tolist():  # C
            scores = dict(zip(spec.labels, probabilities, strict=True))
            rows.append({"prediction": [label for label in spec.labels if scores[label] >= self.threshold], "scores": scores})
        return rows

    def postprocessing(self, spec: DataSpec) -> dict[str, Any]:
        return {"probability": "sigmoid", "threshold": self.threshold}

    def metrics(self, spec: DataSpec, **options: Any) -> "dict[str, Metric]":
        from framework import CalibrationError  # torchmetrics: formats do without

        from .label_metric import LabelFigures

        return {"labels": LabelFigures(spec.labels, several=True, **options), CALIBRATION: CalibrationError()}

    def events(self, row: dict[str, Any]) -> tuple[list[float], list[bool]]:
        """Whether the text has each of the labels."""
        return list(row["scores"].values()), [label in row["reference"] for label in row["scores"]]

    def report(self, rows: Sequence[dict[str, Any]], spec: DataSpec) -> dict[str, str]:
        """report.csv with the metrics of each label."""
        labels = with_unseen(spec.labels, (label for row in rows for label in row["reference"]))
        return {"report.csv": per_label([(set(row["reference"]), set(row["prediction"])) for row in rows], labels)}

    def builtin(self, split: str) -> Iterator[Row]:
        """Functions of Python's standard library with their keywords blanked: which statements are in them?"""
        for text, kinds, _ in blanked(split):
            yield {"text": text, "label": list(kinds)}

    def baseline(self, rows: Iterable[tuple[Words, list[str]]]) -> Callable[[Words], list[str]]:
        """A linear model of words for each label."""
        texts, values = zip(*rows, strict=True)
        labels = sorted({label for value in values for label in value})
        if not labels:
            return lambda words: []
        targets = torch.tensor([[float(label in value) for label in labels] for value in values])
        score = LinearWords(texts, len(labels), lambda scores: binary_cross_entropy_with_logits(scores, targets, reduction="sum"))
        return lambda words: [label for label, logit in zip(labels, score(words).tolist(), strict=True) if logit > 0]
