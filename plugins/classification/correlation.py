"""Correlation of predicted and true numbers. Sums are exact, so the order of rows does not matter."""

import math
from collections.abc import Sequence


def number_figures(predictions: Sequence[float], references: Sequence[float]) -> dict[str, float]:
    differences = (abs(reference - prediction) for reference, prediction in zip(references, predictions, strict=True))
    return {
        "pearson": pearson(references, predictions),
        "spearman": pearson(ranks(references), ranks(predictions)),
        "mean_absolute_error": math.fsum(differences) / len(references),
    }


def pearson(x: Sequence[float], y: Sequence[float]) -> float:
    """Linear correlation; NaN where x or y is constant."""
    if min(len(set(x)), len(set(y))) < 2:
        return math.nan
    dx, dy = _deviations(x), _deviations(y)
    spread = math.sqrt(math.fsum(a * a for a in dx)) * math.sqrt(math.fsum(b * b for b in dy))
    return math.fsum(a * b for a, b in zip(dx, dy, strict=True)) / spread


def _deviations(x: Sequence[float]) -> list[float]:
    mean = math.fsum(x) / len(x)
    return [value - mean for value in x]


def ranks(x: Sequence[float]) -> list[float]:
    """The rank of each value, from 1; ties share their mean rank."""
    order = sorted(range(len(x)), key=x.__getitem__)
    ranked = [0.0] * len(x)
    start = 0
    while start < len(order):
        stop = start
        while stop < len(order) and x[order[stop]] == x[order[start]]:
            stop += 1
        for place in order[start:stop]:
            ranked[place] = (start + 1 + stop) / 2
        start = stop
    return ranked
