"""Tests of differences over rows and seeds: scipy's where the design is one of scipy's, and planted cases."""

import math

import numpy as np
import pytest
import scipy.stats

from framework.comparing.significance import Trainings, _t, assess, holm, pooled, spread
from framework.metrics.resampling import bootstrap, sums


def trainings(values, draws=None, rows="rows", keys=None):
    values = np.array(values, dtype=float)
    return Trainings(keys or list(range(len(values))), values, draws, [rows] * len(values))


def accuracies(random, rows, shifts, of_seeds, of_rows):
    """Trainings of variants on the same rows. A training is right where difficulty + shift + an effect of its seed + noise is above 0."""
    difficulty = random.normal(1, 1, rows)
    right = [
        [(difficulty + shift + random.normal(0, of_seeds) + random.normal(0, of_rows, rows) > 0).astype(float) for _ in range(seeds)]
        for shift, seeds in shifts
    ]
    ones = np.ones(rows)
    resampled = [sums(np.stack((each, ones), 1), lambda summed: {"": summed[:, 0] / summed[:, 1]}) for variant in right for each in variant]
    draws, found = iter(bootstrap(resampled, 400)), []
    for variant in right:
        drawn = np.stack([next(draws)[""] for _ in variant])
        found.append(trainings([each.mean() for each in variant], drawn))
    return found


def planted(draws, rows, shifts, of_seeds, of_rows, seed=0):
    """In how many of the draws a difference is claimed."""
    random = np.random.default_rng(seed)
    tests = [assess(*accuracies(random, rows, shifts, of_seeds, of_rows)) for _ in range(draws)]
    return sum(test.p <= 0.05 for test in tests), tests


@pytest.mark.parametrize(("seeds", "of_seeds"), [(2, 0.1), (3, 0.03), (3, 0.1)])
def test_identical_systems_with_different_seeds_do_not_differ(seeds, of_seeds):
    claimed, tests = planted(60, 300, [(0, seeds), (0, seeds)], of_seeds, 0.3)
    assert claimed <= 4 and all(test.trainings for test in tests)  # 5 % of 60 are 3


def test_one_seed_tells_nothing_about_others():
    claimed, tests = planted(60, 300, [(0, 1), (0, 1)], 0.1, 0.3)
    assert claimed > 15 and not any(test.trainings for test in tests)  # the trained models do differ


def test_a_difference_of_three_points_is_found():
    claimed, tests = planted(20, 1821, [(0.13, 3), (0, 3)], 0.01, 0.3)
    assert claimed >= 19
    assert np.mean([test.difference for test in tests]) == pytest.approx(0.03, abs=0.004)
    assert all(test.interval[0] < test.difference < test.interval[1] for test in tests)


@pytest.mark.whole
def test_a_hundred_draws_at_full_size():
    for seeds, of_seeds in ((2, 0.03), (3, 0.03), (3, 0.1), (5, 0.03)):
        claimed, _ = planted(100, 1821, [(0, seeds), (0, seeds)], of_seeds, 0.3, seed=seeds)
        assert claimed <= 5


def test_without_rows_it_is_welchs_test():
    one, other = [0.81, 0.84, 0.79, 0.83], [0.78, 0.77, 0.80, 0.79]
    test = assess(trainings(one), trainings(other))
    expected = scipy.stats.ttest_ind(one, other, equal_var=False)
    assert test.p == pytest.approx(expected.pvalue, abs=0.01)
    assert test.interval == pytest.approx(expected.confidence_interval(0.95), abs=0.003)


def test_the_variance_over_seeds_is_that_of_all_variants_or_a_larger_one_of_its_own():
    calm, wild, other = (trainings(values) for values in ([0.80, 0.81, 0.82], [0.7, 0.8, 0.9], [0.5, 0.5, 0.5]))
    common = pooled([calm, wild, other])
    assert common == pytest.approx((np.mean([np.var(each.values, ddof=1) for each in (calm, wild, other)]), 6))
    assert spread(calm, other, common=common).trainings == pytest.approx(common[0] * 2 / 3)
    assert spread(wild, other, common=common).trainings == pytest.approx(0.01 / 3)


@pytest.mark.parametrize("wild", [0.03, 0.15])
def test_identical_variants_do_not_differ_among_several(wild):
    """Also where the seeds of one vary more than those of the others."""
    random, wrong = np.random.default_rng(2), 0
    for _ in range(60):
        variants = [trainings(0.8 + random.normal(0, each, 3)) for each in (0.03, 0.03, 0.03, wild)]
        common = pooled(variants)
        tests = [assess(one, other, common=common) for number, one in enumerate(variants) for other in variants[:number]]
        wrong += min(holm([test.p for test in tests])) <= 0.05
    assert wrong <= 5


def test_trainings_that_belong_together_are_paired():
    one, other = [0.81, 0.62, 0.90, 0.71], [0.79, 0.61, 0.86, 0.70]
    keys = ["d", "b", "a", "c"]
    shuffled = trainings([other[place] for place in (2, 1, 0, 3)], keys=[keys[place] for place in (2, 1, 0, 3)])
    expected = scipy.stats.ttest_rel(one, other)
    assert assess(trainings(one, keys=keys), shuffled, mixed=True).p == pytest.approx(expected.pvalue, abs=0.01)
    assert assess(trainings(one, keys=keys), shuffled).p > 0.5


def test_rows_that_the_seed_chose_are_paired():
    one, other = ([0.81, 0.62, 0.90], [0.79, 0.60, 0.88])
    first, second = (Trainings([0, 1, 2], np.array(values), None, ["x", "y", "z"]) for values in (one, other))
    assert assess(first, second).p < 0.05
    assert assess(first, Trainings([0, 1, 2], np.array(other), None, ["x", "y", "w"])) is None
    assert assess(first, Trainings([0, 1], np.array(other[:2]), None, ["x", "y"])) is None


def test_folds_are_tested_as_nadeau_and_bengio_do():
    """The corrected resampled t-test, as in scikit-learn's example of comparing models by cross-validation."""
    one, other = np.array([0.81, 0.66, 0.90, 0.74, 0.80]), np.array([0.79, 0.61, 0.86, 0.70, 0.81])
    keys, folds = list(range(5)), list("abcde")
    first, second = (Trainings(keys, values, None, folds, overlap=1 / 4) for values in (one, other))
    differences = one - other
    t = differences.mean() / np.sqrt(differences.var(ddof=1) * (1 / 5 + 1 / 4))
    found = assess(first, second)
    assert found.p == pytest.approx(2 * scipy.stats.t.sf(abs(t), 4), abs=0.01) and found.seeds is None
    assert found.p > assess(Trainings(keys, one, None, folds), Trainings(keys, other, None, folds)).p


def test_rows_of_folds_are_counted_once():
    """Their part of the variance between folds is not added a second time."""
    random = np.random.default_rng(0)
    values = random.normal(0.8, 0.02, 5)
    draws = values[:, None] + random.normal(0, 0.02, (5, 4000))
    found = spread(Trainings(list(range(5)), values, draws, list("abcde"), overlap=1 / 4))
    assert found.rows.std() < 0.1 * draws.mean(axis=0).std()


def test_one_training_is_taken_to_vary_as_those_of_the_other():
    values = np.array([0.80, 0.82, 0.84])
    found = spread(trainings(values), trainings([0.7]))
    assert (found.trainings, found.freedom) == pytest.approx((values.var(ddof=1) * (1 / 3 + 1), 2))
    assert math.isnan(spread(trainings([0.8]), trainings([0.7])).trainings)
    assert assess(trainings([0.8]), trainings([0.7])) is None


def test_the_parts_of_the_variance_add_up():
    """Rows and seeds of a crossed design: the variance of the difference over new rows and new seeds is what is estimated."""
    random = np.random.default_rng(3)
    estimated, differences = [], []
    for _ in range(150):
        one, other = accuracies(random, 200, [(0, 3), (0.2, 3)], 0.1, 0.5)
        found = spread(one, other)
        estimated.append(found.trainings + found.rows.var())
        differences.append(one.mean - other.mean)
    assert np.mean(estimated) == pytest.approx(np.var(differences), rel=0.25)


def test_how_many_seeds_would_tell():
    values = [0.80, 0.82, 0.78]
    few, many = (assess(trainings(values), trainings(np.array(values) - shift)) for shift in (0.04, 0.02))
    assert few.seeds is not None and many.seeds is not None and 3 < few.seeds < many.seeds < 40
    rows = np.random.default_rng(0).normal(0, 0.05, (1, 400)).repeat(3, 0)
    found = assess(trainings(values, rows), trainings(np.array(values) - 0.02, -rows))
    assert found.seeds is None and found.test_rows > 10


@pytest.mark.parametrize("freedom", [2, 4, 10, 100])
def test_quantiles_of_students_t(freedom):
    assert _t(freedom) == pytest.approx(scipy.stats.t.ppf(0.975, freedom), rel=0.035)


def test_holm():
    values = [0.01, 0.04, 0.03, 0.005]
    assert holm(values) == pytest.approx([0.03, 0.06, 0.06, 0.02])  # by hand: 3 * 0.01, 2 * 0.03, then the largest so far
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []
