"""Metrics that can be computed of any choice of their rows, from statistics of each row."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from framework.metrics.resampling import Array, Figures, Resampled, sums


class RowMetric(Metric):
    """Base class of metrics that are a function of sums over rows, of which an interval takes no longer than the metric itself.

    `update` adds to states of its own, and calls `keep` with the statistics of its rows; `figures` computes the metric from their sums, for
    its value (`value_of`) and for every resample of the rows alike.

    lower_is_better: names of figures that are the better the lower they are; a metric with one figure has its `higher_is_better`.

    >>> class Share(RowMetric):
    ...     def update(self, predictions, references):
    ...         self.keep([[a == b, 1] for a, b in zip(predictions, references)])
    ...
    ...     def figures(self, sums):
    ...         return sums[:, 0] / sums[:, 1]
    >>> share = Share()
    >>> share.keep_rows()
    >>> share.update(["a", "b", "b", "a"], ["a", "b", "a", "a"])
    >>> share.resampled().figures()
    {'': 0.75}
    """

    full_state_update = False
    lower_is_better: ClassVar[tuple[str, ...]] = ()
    kept: list[Any] | None = None  # statistics of the rows, where they are asked for

    def keep_rows(self) -> None:
        """From now on the statistics of rows are kept."""
        self.kept = []

    def keep(self, rows: Any) -> None:
        """Keeps statistics (N, K) of rows, where they are asked for."""
        if self.kept is not None:
            self.kept.append(np.asarray(rows, dtype=np.float64))

    def figures(self, sums: Array) -> Array | Figures:
        """The metric of sums (R, K): (R,), or several figures by name."""
        raise NotImplementedError

    def resampled(self) -> Resampled:
        """The figures by name, '' for a metric of one, of any choice of the rows that were kept."""
        assert self.kept is not None, "keep_rows comes before the rows"
        values = np.concatenate(self.kept) if self.kept else np.empty((0, 1))
        return sums(values, lambda summed: named(self.figures(summed)), lower=self.lower_figures())

    def lower_figures(self) -> frozenset[str]:
        """The names of figures that are better the lower they are; '' is that of a metric of one."""
        return frozenset(("",) if self.higher_is_better is False else self.lower_is_better)

    def value_of(self, sums: Any) -> Any:
        """The value that `compute` returns, of the sums (K,) over all rows."""
        found = self.figures(np.asarray(sums, dtype=np.float64)[None])
        return {name: _tensor(value) for name, value in found.items()} if isinstance(found, Mapping) else _tensor(found)

    def update(self, *columns: Any) -> None:
        raise NotImplementedError

    def compute(self) -> Any:
        raise NotImplementedError


def named(figures: Array | Figures) -> Figures:
    return figures if isinstance(figures, Mapping) else {"": figures}


def _tensor(value: Array) -> Tensor:
    return torch.tensor(float(value[0]), dtype=torch.float64)
