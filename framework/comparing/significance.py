"""Whether two variants differ by more than chance, over test rows and over seeds.

The test rows are a sample, and so are the trainings: another seed is another model. The difference of two variants is that of the means
over their trainings, and its variance has three parts, as where rows are crossed with trainings: that of rows (resampled, the same for all
trainings), that of trainings (between seeds), and that of their interaction, which both contain and which is counted once. Bouthillier et
al. 2021, https://arxiv.org/abs/2103.03098; Searle, Casella and McCulloch 1992, section 4.5, https://doi.org/10.1002/9780470316856

Shapes: S trainings of a variant, R resamples of the rows.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from framework.metrics.resampling import Array, p_value

ALPHA, POWER = 0.05, 0.8
MOST_SEEDS = 200  # that are advised


@dataclass(frozen=True)
class Trainings:
    """The trainings of a variant, by their keys (the seed, and what else may differ between them).

    values: (S,), the figure of each. draws: (S, R), the figure of each on resamples of its rows, or None. rows: what tells the rows of
    each; trainings with the same rows have them resampled together. overlap: of the folds of a cross-validation, which share most of their
    training rows, the number of test rows for each training row.
    """

    keys: Sequence[Hashable]
    values: Array
    draws: Array | None
    rows: Sequence[Hashable]
    overlap: float = 0.0

    @property
    def mean(self) -> float:
        return float(self.values.mean())

    @property
    def deviation(self) -> float:
        """The standard deviation over seeds; NaN of one."""
        return float(self.values.std(ddof=1)) if len(self.values) > 1 else math.nan

    def of(self, keys: Sequence[Hashable]) -> "Trainings":
        """The same trainings in the order of keys."""
        places = [list(self.keys).index(key) for key in keys]
        draws = None if self.draws is None else self.draws[places]
        return Trainings(list(keys), self.values[places], draws, [self.rows[place] for place in places], self.overlap)


@dataclass(frozen=True)
class Spread:
    """The uncertainty of a mean over trainings, or of a difference of two.

    rows: (R,), its deviations over resamples of the rows, or None where there are none. trainings: its variance over trainings, NaN where
    there is one alone. freedom: degrees of freedom of that variance. single: the variance of one training, or one pair.
    """

    rows: Array | None
    trainings: float
    freedom: float
    single: float

    def deviations(self) -> Array | None:
        """Draws of the deviation of the mean from the truth: of the rows, and by Student's t of the trainings."""
        resamples = 10_000 if self.rows is None else len(self.rows)
        rows = np.zeros(resamples) if self.rows is None else self.rows
        if math.isnan(self.trainings):
            return self.rows
        return rows + np.random.default_rng(0).standard_t(self.freedom, size=resamples) * math.sqrt(self.trainings)


@dataclass(frozen=True)
class Assessment:
    """A difference of two variants, the 95 % interval and the p-value of it. trainings: whether seeds were compared, not only rows.
    seeds: about how many of each would show a difference of this size; None = no number alone does, or unknown. test_rows: how many times
    as many test rows would be needed too."""

    difference: float
    interval: tuple[float, float]
    p: float
    trainings: bool
    seeds: int | None = None
    test_rows: float = 1.0


def pooled(variants: Sequence[Trainings]) -> tuple[float, float]:
    """The variance of a training over seeds, of all variants together, and its degrees of freedom; NaN and 0 where none has two."""
    freedom = sum(len(each.values) - 1 for each in variants)
    squares = sum(float(((each.values - each.mean) ** 2).sum()) for each in variants)
    return (squares / freedom if freedom else math.nan), float(freedom)


def spread(one: Trainings, other: Trainings | None = None, paired: bool = False, common: tuple[float, float] | None = None) -> Spread:
    """The uncertainty of the mean of a variant, or of the difference of two.

    paired: trainings of the same key belong together, because they have the same rows or other options in common; otherwise the seeds of
    two variants have nothing to do with each other. common: `pooled` variance of a comparison, by default of these; few seeds tell little
    of a variant's own, which counts where it is larger. Folds that share training rows vary less than independent trainings do, so the
    variance of their mean is larger than theirs over their number: Nadeau and Bengio 2003, https://doi.org/10.1023/A:1024068626366
    """
    if other is not None and paired:
        other = other.of(one.keys)
        draws = None if one.draws is None or other.draws is None else one.draws - other.draws
        return spread(Trainings(one.keys, one.values - other.values, draws, one.rows, one.overlap))
    both = [one] if other is None else [one, other]
    variance, freedom = common or pooled(both)
    variances = [float(each.values.var(ddof=1)) if len(each.values) > 1 else variance for each in both]
    own, all_together = (
        sum(part * (1 / len(each.values) + each.overlap) for part, each in zip(parts, both, strict=True))
        for parts in (variances, [variance] * len(both))
    )
    freedom += _welch(both) - pooled(both)[1]
    return Spread(_rows(both), max(own, all_together), freedom, max(sum(variances), len(both) * variance))


def _welch(variants: Sequence[Trainings]) -> float:
    """Degrees of freedom of the sum of the variances of means, fewer than those of trainings where the variances differ. Welch 1947,
    https://doi.org/10.1093/biomet/34.1-2.28"""
    parts = [(float(each.values.var(ddof=1)) / len(each.values), len(each.values) - 1) for each in variants if len(each.values) > 1]
    total = sum(part for part, _ in parts)
    return total**2 / sum(part**2 / count for part, count in parts) if total else float(sum(count for _, count in parts))


def _rows(both: Sequence[Trainings]) -> Array | None:
    """Deviations of the mean, or of the difference, over resamples of the rows, without the part that the variance over trainings has."""
    if any(each.draws is None for each in both):
        return None
    means = [each.draws.mean(axis=0) for each in both if each.draws is not None]
    drawn = means[0] if len(means) == 1 else means[0] - means[1]
    deviations: Array = drawn - drawn.mean()
    interaction = 0.0
    for each, mean in zip(both, means, strict=True):
        if each.draws is not None and (count := len(each.values)) > 1:
            interaction += float((each.draws - mean).var(axis=1).sum()) / (count - 1) / count
    variance = float(deviations.var())
    return deviations * math.sqrt(max(0.0, variance - interaction) / variance) if variance else deviations


def assess(
    one: Trainings, other: Trainings, mixed: bool = False, common: tuple[float, float] | None = None, pairs: int = 1
) -> Assessment | None:
    """The test of a difference; None where the two have other rows, or neither statistics of rows nor several trainings.

    mixed: whether trainings of a variant differ by more than their seeds. common: as in `spread`. pairs: number of differences that are
    tested.
    """
    same_rows = len({*one.rows, *other.rows}) == 1
    keys = sorted({*one.keys} & {*other.keys}, key=repr)
    matching = len(keys) == len(one.keys) == len(other.keys) and one.of(keys).rows == other.of(keys).rows
    if not same_rows and not matching:
        return None
    paired = matching and len(keys) > 1 and (mixed or not same_rows)
    found = spread(one.of(keys), other.of(keys), paired) if paired else spread(one, other, common=common)
    deviations = found.deviations()
    if deviations is None:
        return None
    difference = one.mean - other.mean
    around = float(np.quantile(np.abs(deviations), 1 - ALPHA))  # symmetric, so that it leaves out 0 where p is below ALPHA
    ends = (difference - around, difference + around)
    p, needed = p_value(deviations, difference), _needed(found, difference, ALPHA / pairs)
    needed = (None, 1.0) if one.overlap else needed  # more seeds do not make more rows
    return Assessment(difference, ends, p, not math.isnan(found.trainings), *needed)


def _needed(found: Spread, difference: float, alpha: float) -> tuple[int | None, float]:
    """About how many seeds of each variant would show a difference of this size at a level with POWER, and how many times as many rows."""
    rows = 0.0 if found.rows is None else float(found.rows.var())
    normal = NormalDist()
    if math.isnan(found.single) or not difference:
        return None, 1.0
    factor = (normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(POWER)) ** 2
    if factor * rows >= 0.9 * difference**2:  # no number of seeds is enough
        return None, 2 * factor * rows / difference**2
    for seeds in range(2, MOST_SEEDS + 1):
        if (_t(max(found.freedom, 2 * seeds - 2), alpha) + normal.inv_cdf(POWER)) ** 2 * (found.single / seeds + rows) <= difference**2:
            return seeds, 1.0
    return None, 1.0


def _t(freedom: float, alpha: float = ALPHA) -> float:
    """The quantile of Student's t at 1 - alpha / 2: Abramowitz and Stegun 1964, 26.7.5."""
    z = NormalDist().inv_cdf(1 - alpha / 2)
    terms = [(z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384]
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))


def holm(values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number. Holm 1979, https://www.jstor.org/stable/4615733"""
    adjusted = [0.0] * len(values)
    largest = 0.0
    for place, number in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, (len(values) - place) * values[number])
        adjusted[number] = min(1.0, largest)
    return adjusted
