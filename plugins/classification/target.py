"""Base class of targets: what is predicted of a text.

Format and task share a target: the format reads it from rows, the task learns it. It has no state; statistics of the training rows are in
the data spec.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from framework import DataSpec, DistillationOutputs, Row, UserError, describe, name_of

if TYPE_CHECKING:
    from torchmetrics import Metric

_WRITTEN_LIST = re.compile(r"""\[\s*["'].*["']\s*\]""", re.DOTALL)
CALIBRATION = "calibration_error"  # the metric of probabilities
Words = set[str]  # the features of a text for a baseline


def count_labels(spec: DataSpec) -> int:
    """Number of labels. UserError: there are none."""
    if not spec.labels:
        raise UserError("data_spec.json: labels must not be empty where labels are predicted (task.target); rows of numbers have none")
    return len(spec.labels)


class Target:
    """Base class of the kind `target`. A head computes as many scores of a text as there are labels, or one.

    monitor, mode: the metric of the best checkpoint, and its direction.
    problem: `problem_type` of the exported config.json.
    variant: its name in the `head_variant` of the task; empty = published heads compute it.
    """

    monitor: str
    mode: ClassVar[Literal["min", "max"]] = "max"
    problem: ClassVar[str | None] = None
    variant: ClassVar[str] = ""
    rules: ClassVar[dict[str, str]] = {}

    def outputs(self, spec: DataSpec) -> int:
        """Number of scores of a text. UserError: the data spec has too few labels."""
        return len(spec.labels) or 1

    def value(self, row: Row) -> Any:
        """The target of a row, JSON-able: its `reference`. ValueError: the row has none, or one of another kind."""
        raise NotImplementedError

    def fit(self, rows: Iterable[Row]) -> dict[str, Any]:
        """Statistics of the training rows, as `Format.fit` returns them."""
        raise NotImplementedError

    def row_labels(self, row: Row) -> Sequence[str]:
        """The labels of a row, as `Format.row_labels`."""
        return ()

    def encode(self, row: Row, spec: DataSpec) -> Any:
        """The value as a feature: a number, or a list of ints."""
        raise NotImplementedError

    def collate(self, values: Sequence[Any], spec: DataSpec) -> Tensor:
        """The encoded values of a batch: (B,), or (B, C)."""
        numbers = torch.from_numpy(np.asarray(values))  # ten times as fast as a tensor of Python numbers
        return numbers.to(torch.get_default_dtype()) if numbers.is_floating_point() else numbers

    def loss(self, logits: Tensor, targets: Tensor, spec: DataSpec, smoothing: float) -> tuple[Tensor, Tensor]:
        """Loss of scores (B, C), summed, and its weight."""
        raise NotImplementedError

    def losses_at(self, logits: Tensor, targets: Tensor, spec: DataSpec, temperatures: Sequence[float]) -> Tensor:
        """Negative log-likelihood of targets, summed, by scores (B, C) divided by each of K temperatures: (K,)."""
        return torch.stack([self.loss(logits.float() / each, targets, spec, 0.0)[0] for each in temperatures])

    def predict(self, logits: Tensor, spec: DataSpec) -> list[dict[str, Any]]:
        """A dict with `prediction` for each text, from its scores (B, C)."""
        raise NotImplementedError

    def postprocessing(self, spec: DataSpec) -> dict[str, Any]:
        """JSON metadata to compute the `prediction` of `predict` from exported scores."""
        return {}

    def distillation_outputs(self, outputs: DistillationOutputs) -> DistillationOutputs:
        """Pooled states (B, D) and logits (N, classes) of the targets, from pooled states and scores (B, C). UserError: there are no
        probabilities to compare."""
        raise UserError(f"{describe(type(self))} cannot be distilled: it has no probabilities (distillation_outputs)")

    def metrics(self, spec: DataSpec, **options: Any) -> "dict[str, Metric]":
        """New metrics, as `Task.metrics`; each takes `update(predictions, references)`. options: of torchmetrics' `Metric`."""
        raise NotImplementedError

    def update(self, metrics: "dict[str, Metric]", rows: Sequence[dict[str, Any]]) -> None:
        """As `Task.update`. Rows of a method without probabilities, as of a baseline, have no `scores`, and no calibration error."""
        pairs = [row["prediction"] for row in rows], [row["reference"] for row in rows]
        for name, metric in metrics.items():
            if name != CALIBRATION:
                metric.update(*pairs)
            elif all("scores" in row for row in rows):
                metric.update(*zip(*(self.events(row) for row in rows), strict=True))

    def events(self, row: dict[str, Any]) -> tuple[list[float], list[bool]]:
        """The probabilities that are given to events, and whether they occurred."""
        raise NotImplementedError

    def report(self, rows: Sequence[dict[str, Any]], spec: DataSpec) -> dict[str, str]:
        """Files of the test rows, as `Task.report`."""
        return {}

    def builtin(self, split: str) -> Iterator[Row]:
        """Rows that need no download."""
        raise NotImplementedError

    def baseline(self, rows: Iterable[tuple[Words, Any]]) -> Callable[[Words], Any]:
        """A simple method, fitted to the words of each text and its value: from words to a prediction."""
        raise NotImplementedError


def listed(names: Sequence[str], most: int = 12) -> str:
    """The first names, and how many more there are."""
    text = ", ".join(repr(name) for name in names[:most]) or "none"
    return f"{text} and {len(names) - most} more" if len(names) > most else text


def label_name(label: Any) -> str:
    """The name of a label, as `name_of`. ValueError: it has none, or it is a list that was written as text, as pandas does."""
    try:
        name = name_of(label)
    except ValueError as error:
        raise ValueError(f"a label {error}: write one of these, or remove it") from None
    if _WRITTEN_LIST.fullmatch(name):
        raise ValueError(f"the label {name[:40]!r} is a list as text: write JSON lines and set task/target=labels")
    return name


def check_numbers(labels: Iterable[str]) -> None:
    """ValueError: two labels are the same number, written as 1 and as 1.0."""
    numbers: dict[float, str] = {}
    for label in labels:
        try:
            number = float(label)
        except ValueError:
            continue
        if number in numbers:
            raise ValueError(f"the labels {numbers[number]!r} and {label!r} are one number, written in two ways; write it in one")
        numbers[number] = label
