"""Schedules against their formulas, written out again here."""

import math

import pytest

from framework.errors import UserError
from framework.registry import Part, registered
from framework.training.schedules import Constant, Cosine, InverseSquareRoot, Linear, WarmupStableDecay

TOTAL, WARMUP, FLOOR = 100, 10, 0.1


def after_warmup(name, step):
    done = (step - WARMUP) / (TOTAL - WARMUP)
    return {
        "constant": 1,
        "linear": FLOOR + (1 - FLOOR) * (1 - done),
        "cosine": FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * done)) / 2,
        "inverse_square_root": FLOOR + (1 - FLOOR) * ((WARMUP + 1) ** 0.5) * (step + 1) ** -0.5,
        "warmup_stable_decay": 1 if step <= 75 else FLOOR + (1 - FLOOR) * (1 - ((step - 75) / 25) ** 0.5),
    }[name]


SCHEDULES = {
    "constant": Part(Constant, warmup=WARMUP),
    "linear": Part(Linear, warmup=WARMUP, floor=FLOOR),
    "cosine": Part(Cosine, warmup=WARMUP, floor=FLOOR),
    "inverse_square_root": Part(InverseSquareRoot, warmup=WARMUP, floor=FLOOR),
    "warmup_stable_decay": Part(WarmupStableDecay, warmup=WARMUP, floor=FLOOR, decay=25),
}


def test_every_schedule_is_tested():
    assert set(SCHEDULES) == set(registered()["schedule"])


@pytest.mark.parametrize("name", SCHEDULES)
def test_formula(name):
    schedule = SCHEDULES[name](total=TOTAL)
    for step in range(TOTAL):
        expected = (step + 1) / (WARMUP + 1) if step < WARMUP else after_warmup(name, step)
        assert schedule(step) == pytest.approx(expected), step


@pytest.mark.parametrize("name", SCHEDULES)
def test_no_jump_at_the_end_of_the_warmup_and_none_without(name):
    assert SCHEDULES[name](total=TOTAL)(WARMUP) == pytest.approx(1)
    assert Part(SCHEDULES[name].cls)(total=TOTAL)(0) == pytest.approx(1)


def test_vaswani():
    """Equation 3, scaled to 1 at its top: min(n^-0.5, n w^-1.5) w^0.5 at update n."""
    warmup, schedule = 40, Part(InverseSquareRoot, warmup=39)(total=math.inf)
    for update in (1, 7, 39, 40, 41, 500):
        assert schedule(update - 1) == pytest.approx(min(update**-0.5, update * warmup**-1.5) * warmup**0.5)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_share_of_the_run_is_that_many_steps(name):
    values = {**SCHEDULES[name].values, "warmup": 0.1} | ({"decay": 0.25} if name == "warmup_stable_decay" else {})
    share, steps = Part(SCHEDULES[name].cls, **values)(total=TOTAL), SCHEDULES[name](total=TOTAL)
    assert [share(step) for step in range(TOTAL)] == [steps(step) for step in range(TOTAL)]


@pytest.mark.parametrize("name", ["linear", "cosine", "warmup_stable_decay"])
def test_a_run_without_end_is_refused_where_the_end_matters(name):
    with pytest.raises(UserError, match="set trainer.max_steps"):
        SCHEDULES[name](total=math.inf)


def test_a_run_without_end_is_fine_elsewhere_and_has_no_shares():
    assert Part(Constant)(total=math.inf)(10**6) == 1
    with pytest.raises(UserError, match="schedule.warmup=0.1"):
        Part(Constant, warmup=0.1)(total=math.inf)


@pytest.mark.parametrize("wrong", [{"warmup": -1}, {"floor": 1.5}])
def test_senseless_values_are_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        Part(Cosine, **wrong)(total=TOTAL)
