"""Comparison of the rows and metrics of a task."""

import math
from collections.abc import Sequence
from typing import Any

from framework.testing.promise import BrokenPromise

TOLERANCE = 1e-6


def compare_rows(promise: str, rows: Sequence[Any], others: Sequence[Any], what: str) -> None:
    """BrokenPromise: a row differs between the two. what: where they come from."""
    for number, (row, other) in enumerate(zip(rows, others, strict=True)):
        if not _alike(row, other):
            raise BrokenPromise(f"{promise}: row {number} {what} differ: {_short(row)} and {_short(other)}")


def near(one: float, other: float) -> bool:
    """Whether two numbers are equal within the tolerance, which is absolute below 1 and relative above."""
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE) or (math.isnan(one) and math.isnan(other))


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[name], other[name]) for name in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_alike, one, other))
    return one == other or (isinstance(one, float) and isinstance(other, float) and near(one, other))


def _short(value: Any, width: int = 150) -> str:
    text = str(value)
    return text if len(text) <= width else f"{text[:width]}…"
