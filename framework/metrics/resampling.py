"""Bootstrap over rows: figures of many resamples at once, computed from statistics of each row.

Shapes: N rows, R resamples, K statistics of a row. A resample is a row of weights (R, N): how often each row was drawn.
Efron and Tibshirani 1993, chapters 6 and 13, https://doi.org/10.1201/9780429246593
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Figures = Mapping[str, Array]  # name -> (R,)

RESAMPLES = 1000
DRAWS = 20_000_000  # rows that are drawn at most in all resamples together, about a CPU-second
FEWEST = 200  # resamples, of however many rows
BLOCK = 1 << 21  # weights that are held at once
ROWS = 10  # fewer rows have no interval


@dataclass(frozen=True)
class Resampled:
    """Figures as a function of how often each row is counted.

    rows: their number, N. of: weights (R, N) -> the figures of each resample. most: resamples that are affordable. lower: names of the
    figures that are better the lower they are.

    >>> import numpy as np
    >>> mean = Resampled(3, lambda weights: {"mean": weights @ np.array([1.0, 2.0, 6.0]) / weights.sum(1)})
    >>> mean.of(np.array([[1.0, 1.0, 1.0], [2.0, 1.0, 0.0]]))["mean"].round(3).tolist()
    [3.0, 1.333]
    """

    rows: int
    of: Callable[[Array], Figures]
    most: int | None = None
    lower: frozenset[str] = frozenset()

    def figures(self) -> dict[str, float]:
        """The figures of all rows."""
        return {name: float(value[0]) for name, value in self.of(np.ones((1, self.rows))).items()}


def resamples_of(rows: int, wanted: int = RESAMPLES, most: int | None = None) -> int:
    """The number of resamples for so many rows: fewer where rows are many."""
    return min(wanted, max(FEWEST, DRAWS // max(1, rows)), most or wanted)


def drawn(rows: int, resamples: int, seed: int | Sequence[int] = 0) -> Iterator[Array]:
    """Weights of resamples, some at a time: (block, N), each N draws with replacement."""
    random = np.random.default_rng(seed)
    block = max(1, BLOCK // max(1, rows))
    for start in range(0, resamples, block):
        count = min(block, resamples - start)
        places = random.integers(rows, size=(count, rows)) + rows * np.arange(count)[:, None]
        yield np.bincount(places.ravel(), minlength=count * rows).reshape(count, rows).astype(np.float64)


def bootstrap(several: Sequence[Resampled], wanted: int = RESAMPLES, seed: int | Sequence[int] = 0) -> list[dict[str, Array]]:
    """Figures of resamples (R,) by name, of several systems over the same rows: resample r has the same rows for all of them."""
    rows = several[0].rows
    assert all(one.rows == rows for one in several), f"systems over {[one.rows for one in several]} rows"
    resamples = min(resamples_of(rows, wanted, one.most) for one in several)
    parts: list[dict[str, list[Array]]] = [{} for _ in several]
    for weights in drawn(rows, resamples, seed):
        for one, part in zip(several, parts, strict=True):
            for name, values in one.of(weights).items():
                part.setdefault(name, []).append(np.asarray(values, dtype=np.float64))
    return [{name: np.concatenate(values) for name, values in part.items()} for part in parts]


def interval(values: Array, level: float = 0.95) -> tuple[float, float] | None:
    """The percentile interval of the figures of resamples; None where more than one in twenty has none."""
    known = values[np.isfinite(values)]
    if len(known) < 0.95 * len(values) or not len(known):
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return low, high


def intervals(resampled: Resampled, seed: int = 0) -> dict[str, tuple[float, float]]:
    """The 95 % interval of each figure; none of fewer than ROWS rows."""
    if resampled.rows < ROWS:
        return {}
    found = {name: interval(values) for name, values in bootstrap([resampled], seed=seed)[0].items()}
    return {name: each for name, each in found.items() if each is not None}


def p_value(differences: Array, difference: float) -> float:
    """Two-sided p-value of a difference by the differences of resamples, moved to a mean of zero; the smallest is 1 / (R + 1). Efron and
    Tibshirani 1993, section 16.4. (The paired bootstrap of sacrebleu counts one side alone: half of this.)"""
    known = differences[np.isfinite(differences)]
    if not len(known) or not math.isfinite(difference):
        return 1.0
    beyond = int((np.abs(known - known.mean()) >= abs(difference) - 1e-12).sum())
    return (beyond + 1) / (len(known) + 1)


def sums(values: Array, figures: Callable[[Array], Figures], **options: object) -> Resampled:
    """Figures that are a function of sums over rows. values: (N, K). figures: sums (R, K) -> figures (R,). options: of `Resampled`."""
    return Resampled(len(values), lambda weights: figures(weights @ values), **options)  # type: ignore[arg-type]
