"""Runs of the whole program, interrupted at random events in forked processes; a sample of those of benchmarks/interruptions.py."""

import os

import pytest

from tests.training.interruptions import SIGNALS, draw, preload, run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
SAMPLE = (1, 2, 10, 37, 38)  # an average; no validation; steps; a validation put off to the end of a step; validations over epochs


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("forks"))
        preload()
        yield


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=[] if seed in SAMPLE else pytest.mark.whole) for seed in range(100)])
def test_an_interrupted_run_is_the_whole_run(tmp_path, seed):
    happened, different = run(draw(seed, list(SIGNALS)), tmp_path, seed)
    assert not different, happened
