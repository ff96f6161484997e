"""The sample of a matrix: seeded, of the share that is asked for, with each value of each axis."""

import itertools

import pytest

from tests.sampling import sampled

MATRIX = [dict(zip("abc", values, strict=True)) for values in itertools.product(range(5), range(4), range(3))]


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0])
def test_each_value_of_each_axis_is_kept(share):
    kept = sampled(MATRIX, share, "name")
    assert all({MATRIX[place][axis] for place in kept} == {case[axis] for case in MATRIX} for axis in "abc")
    assert max(5, round(share * len(MATRIX))) <= len(kept) <= max(12, round(share * len(MATRIX)))


def test_each_test_has_a_sample_of_its_own_and_always_the_same():
    assert sampled(MATRIX, 0.2, "one") == sampled(MATRIX, 0.2, "one") != sampled(MATRIX, 0.2, "other")


def test_cases_without_axes_are_a_share():
    assert len(sampled([{}] * 41, 0.3, "name")) == 13 and len(sampled([{}] * 2, 0.1, "name")) == 1


@pytest.mark.parametrize("case", range(8))
@pytest.mark.matrix(0.25, axes=())
def test_the_suite_runs_a_sample_of_a_matrix(case, request):
    """Two of these cases, unless all are asked for."""
    here = [item for item in request.session.items if item.nodeid.partition("[")[0] == request.node.nodeid.partition("[")[0]]
    assert len(here) <= 2 or request.config.getoption("matrix") == "whole"
