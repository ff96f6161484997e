"""One label for a text."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from framework import IGNORED, DataSpec, DistillationOutputs, Row, UserError, nearest, register

from .baseline import LinearWords
from .builtin import rows as builtin_rows
from .reports import confusion, per_label, with_unseen
from .target import CALIBRATION, Target, Words, check_numbers, count_labels, label_name, listed

if TYPE_CHECKING:
    from torchmetrics import Metric


@lru_cache(maxsize=8)
def _on_device(numbers: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """The numbers as a tensor (C,), copied to the device once: each copy of Python numbers waits for it."""
    with torch.inference_mode(False):  # validation comes first, and training cannot save a tensor that it made
        return torch.tensor(numbers, device=device, dtype=dtype)


@register("target")
class LabelTarget(Target):
    """One of several labels, by a softmax over their scores. Metrics: accuracy, macro F1 and the Matthews correlation coefficient (MCC).

    class_weights: weight of a text in the loss, by its label: `{rare: 5, usual: 1}` (1 for labels without a weight); balanced = all
        labels have the same weight in total, whatever their number of rows; null = every text has weight 1.
    monitor: the metric on the validation rows that chooses the best checkpoint. The most frequent label alone has a high accuracy where
        labels are skewed, but a low F1 and no MCC.
    """

    problem: ClassVar[str | None] = "single_label_classification"

    def __init__(
        self,
        class_weights: Literal["balanced"] | dict[str, float] | None = None,
        monitor: Literal["accuracy", "f1", "mcc"] = "accuracy",
    ):
        self.monitor = f"validation/{monitor}"
        if isinstance(class_weights, dict):
            class_weights = {str(label): weight for label, weight in class_weights.items()}
            if any(not 0 <= weight < math.inf for weight in class_weights.values()):
                raise UserError(f"task.target.class_weights={class_weights}: weights must be finite and at least 0")
        self.class_weights = class_weights

    def outputs(self, spec: DataSpec) -> int:
        return count_labels(spec)

    def value(self, row: Row) -> str:
        """The name of the label, as `name_of` writes it."""
        label = row.get("label")
        if isinstance(label, (list, dict)):
            raise ValueError(f"the label is {shortened(label)}; task/target=labels takes several for a text")
        name = "" if label is None else label_name(label)
        if not name:
            raise ValueError("the row has no label: write it, or remove the row")
        return name

    def fit(self, rows: Iterable[Row]) -> dict[str, Any]:
        counts = Counter(self.value(row) for row in rows)
        labels = tuple(sorted(counts))
        check_numbers(labels)
        if len(labels) < 2:
            raise ValueError(f"at least two labels are needed; the training rows have {listed(labels)}")
        if self.class_weights == "balanced":
            return {"labels": labels, "rows_of": [counts[label] for label in labels]}
        for label in self.class_weights or ():
            if label not in counts:
                raise UserError(
                    f"task.target.class_weights names {label!r}{nearest(label, labels)}; the training rows have {listed(labels)}"
                )
        if isinstance(self.class_weights, dict) and not any(self.class_weights.get(label, 1) for label in labels):
            raise UserError(f"task.target.class_weights={self.class_weights}: all labels have weight 0, so no text is learned from")
        return {"labels": labels}

    def row_labels(self, row: Row) -> Sequence[str]:
        return [self.value(row)]

    def encode(self, row: Row, spec: DataSpec) -> int:
        """The number of the label; IGNORED for one that the training rows lack: it has no score, so the loss leaves the row out."""
        label = self.value(row)
        return spec.labels.index(label) if label in spec.labels else IGNORED

    def weights(self, spec: DataSpec) -> list[float] | None:
        """The weight of each label. Balanced: King and Zeng 2001, section 4, https://doi.org/10.1093/oxfordjournals.pan.a004868"""
        if self.class_weights is None:
            return None
        if isinstance(self.class_weights, dict):
            return [float(self.class_weights.get(label, 1.0)) for label in spec.labels]
        rows_of = spec.statistic("rows_of", list[int])
        if len(rows_of) != len(spec.labels) or not all(count > 0 for count in rows_of):
            raise UserError(f"data_spec.json: rows_of in statistics must have a positive number for each of {len(spec.labels)} labels")
        return [sum(rows_of) / (len(rows_of) * count) for count in rows_of]

    def loss(self, logits: Tensor, targets: Tensor, spec: DataSpec, smoothing: float) -> tuple[Tensor, Tensor]:
        """A row without a target (IGNORED) has no loss and no weight."""
        known, weights = targets != IGNORED, self.weights(spec)
        if weights is None:
            loss = cross_entropy(logits, targets, label_smoothing=smoothing, reduction="sum", ignore_index=IGNORED)
            return loss, known.sum()
        weight = _on_device(tuple(weights), logits.device, torch.promote_types(logits.dtype, torch.float32))  # (C,)
        loss = cross_entropy(
            logits.to(weight.dtype), targets, weight=weight, label_smoothing=smoothing, reduction="sum", ignore_index=IGNORED
        )
        return loss, (weight[targets.clamp(min=0)] * known).sum()

    def losses_at(self, logits: Tensor, targets: Tensor, spec: DataSpec, temperatures: Sequence[float]) -> Tensor:
        """Without the weights of classes: they are not in the probabilities that the rows have."""
        losses = [cross_entropy(logits.float() / each, targets, reduction="sum", ignore_index=IGNORED) for each in temperatures]
        return torch.stack(losses)

    def predict(self, logits: Tensor, spec: DataSpec) -> list[dict[str, Any]]:
        labels = spec.labels
        rows = []
        for scores in logits.float().softmax(dim=-1).tolist():  # C
            best = max(range(len(labels)), key=scores.__getitem__)
            rows.append({"prediction": labels[best], "score": scores[best], "scores": dict(zip(labels, scores, strict=True))})
        return rows

    def postprocessing(self, spec: DataSpec) -> dict[str, Any]:
        return {"probability": "softmax"}

    def distillation_outputs(self, outputs: DistillationOutputs) -> DistillationOutputs:
        return outputs

    def metrics(self, spec: DataSpec, **options: Any) -> "dict[str, Metric]":
        from framework import CalibrationError  # torchmetrics: formats do without

        from .label_metric import LabelFigures

        return {"labels": LabelFigures(spec.labels, several=False, **options), CALIBRATION: CalibrationError()}

    def events(self, row: dict[str, Any]) -> tuple[list[float], list[bool]]:
        """Whether the predicted label is right."""
        return [row["score"]], [row["prediction"] == row["reference"]]

    def report(self, rows: Sequence[dict[str, Any]], spec: DataSpec) -> dict[str, str]:
        """confusion.csv, and report.csv with the metrics of each label."""
        pairs = [(row["reference"], row["prediction"]) for row in rows]
        labels = with_unseen(spec.labels, (reference for reference, _ in pairs))
        return {
            "confusion.csv": confusion(pairs, labels),
            "report.csv": per_label([({reference}, {predicted}) for reference, predicted in pairs], labels),
        }

    def builtin(self, split: str) -> Iterator[Row]:
        """Docstrings and functions of Python's standard library, by package."""
        return builtin_rows(split)

    def baseline(self, rows: Iterable[tuple[Words, str]]) -> Callable[[Words], str]:
        """A linear model of words, the likeliest label; of ties the first in the alphabet."""
        texts, values = zip(*rows, strict=True)
        labels = sorted(set(values))
        targets = torch.tensor([labels.index(value) for value in values])
        score = LinearWords(texts, len(labels), lambda scores: cross_entropy(scores, targets, reduction="sum"))
        return lambda words: labels[int(score(words).argmax())]
