"""The figures of a task, computed of its rows as predictions.jsonl has them: once, or of any choice of the rows."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from framework.metrics.resampling import Array, Resampled
from framework.tasks.base import Task

if TYPE_CHECKING:
    from torchmetrics import Metric  # imported where metrics are made: takes a second

RECOMPUTED, AFFORDABLE = 100, 2000  # resamples of metrics that are no `RowMetric`, and rows that these have at most
Rows = Sequence[dict[str, Any]]


def local_metrics(task: Task) -> "dict[str, Metric]":
    """The metrics of a task, for one process of several: they do not wait for the others."""
    metrics = task.metrics()
    for metric in metrics.values():
        metric.distributed_available_fn = lambda: False
    return metrics


def computed(metrics: "Mapping[str, Metric]") -> dict[str, float]:
    """The figures of the metrics that were updated, by name."""
    figures: dict[str, float] = {}
    for name, metric in metrics.items():
        if metric.update_called:
            value = metric.compute()
            figures |= {key: float(each) for key, each in (value if isinstance(value, Mapping) else {name: value}).items()}
    return figures


def figures_of(task: Task, rows: Rows) -> dict[str, float]:
    """The figures of rows, in the form of `Task.evaluate`."""
    metrics = local_metrics(task)
    if rows:
        task.update(metrics, list(rows))
    return computed(metrics)


def resampled(task: Task, rows: Rows, names: Collection[str] | None = None) -> Resampled | None:
    """The figures of any choice of the rows. None where there are none, or too many for metrics that are no `RowMetric`.

    names: of the figures that are wanted; None = all.
    """
    from framework.metrics.base import RowMetric

    metrics = local_metrics(task)
    by_rows = {name: metric for name, metric in metrics.items() if isinstance(metric, RowMetric)}
    for metric in by_rows.values():
        metric.keep_rows()
    if rows:
        task.update(metrics, list(rows))
    found = {name: metric.resampled() for name, metric in by_rows.items()}
    found = {name: one for name, one in found.items() if one.rows == len(rows)}
    others = [name for name, metric in metrics.items() if metric.update_called and name not in found]
    parts = [_renamed(name, one) for name, one in found.items()]
    if others and len(rows) <= AFFORDABLE:
        parts.append(_recomputed(task, rows, others))
    return _joined(parts, len(rows), names) if rows and parts else None


def _renamed(metric: str, one: Resampled) -> Resampled:
    """The same figures, that of a metric of one by the metric's name."""

    def of(weights: Array) -> dict[str, Array]:
        return {name or metric: values for name, values in one.of(weights).items()}

    return Resampled(one.rows, of, one.most, frozenset(name or metric for name in one.lower))


def _recomputed(task: Task, rows: Rows, others: Collection[str]) -> Resampled:
    """Figures of metrics of any kind, updated anew for each resample."""

    def of(weights: Array) -> dict[str, Array]:
        figures: dict[str, list[float]] = {}
        for row in weights:
            metrics = local_metrics(task)
            task.update(metrics, [rows[number] for number in np.repeat(np.arange(len(rows)), row.astype(int)).tolist()])
            for name, value in computed({name: metrics[name] for name in others}).items():
                figures.setdefault(name, []).append(value)
        return {name: np.array(values) for name, values in figures.items()}

    metrics = task.metrics()
    lower = frozenset(name for name in others if metrics[name].higher_is_better is False)
    return Resampled(len(rows), of, RECOMPUTED, lower)


def _joined(parts: Sequence[Resampled], rows: int, names: Collection[str] | None) -> Resampled:
    def of(weights: Array) -> dict[str, Array]:
        figures = {name: values for part in parts for name, values in part.of(weights).items()}
        return {name: values for name, values in figures.items() if names is None or name in names}

    most = min((part.most for part in parts if part.most is not None), default=None)
    return Resampled(rows, of, most, frozenset().union(*(part.lower for part in parts)))
