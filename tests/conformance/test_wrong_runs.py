"""Callbacks, trackers and trainers that are wrong on purpose: each is rejected by the name of the promise that it breaks."""

import csv
import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning.callbacks import Callback

from framework.testing import CallbackPromises, TrackerPromises, TrainerPromises
from framework.tracking.base import Tracker
from framework.tracking.csv_file import CsvTracker
from framework.training.trainers import LightningTrainer
from tests.conformance.rejects import assert_accepted, assert_rejected


class Shrinks(Callback):
    """Multiplies the weights by a factor that falls from step to step; nothing is wrong with this one."""

    def __init__(self) -> None:
        self.factor = 1.0

    def on_train_batch_end(self, trainer, pl_module, *_: Any) -> None:
        self.factor *= 0.999
        with torch.no_grad():
            for parameter in pl_module.parameters():
                parameter.mul_(self.factor)

    def state_dict(self):
        return {"factor": self.factor}

    def load_state_dict(self, state_dict):
        self.factor = state_dict["factor"]


class ReadsTheMetric(Callback):
    def on_train_end(self, trainer, pl_module):
        print(trainer.callback_metrics["validation/loss"].item())


class FailsInTests(Callback):
    def on_test_batch_end(self, *_: Any) -> None:
        raise RuntimeError("there is no test")


class ForgetsItsState(Shrinks):
    def state_dict(self):
        return {}


class CountsEpochsAnew(Shrinks):
    def on_train_start(self, *_: Any) -> None:
        self.factor = 1.0


class KeepsAnObject(Shrinks):
    def state_dict(self):
        return {"factor": self}


class LoadsNothing(Shrinks):
    def load_state_dict(self, state_dict): ...


def draws(hook, draw):
    return type("Draws", (Callback,), {hook: lambda self, *_: draw() and None})


CALLBACKS = {
    "survives a run": (ReadsTheMetric, FailsInTests),
    "resumes bit for bit": (ForgetsItsState, CountsEpochsAnew),
    "its state is saved": (KeepsAnObject, LoadsNothing),
    "draws no random numbers": (
        draws("on_train_batch_start", lambda: torch.rand(1)),
        draws("on_validation_end", random.random),
        draws("on_train_start", np.random.rand),
    ),
}


def test_a_right_callback_is_accepted():
    assert_accepted(CallbackPromises, Shrinks)


@pytest.mark.parametrize(("promise", "wrong"), [(promise, wrong) for promise, all in CALLBACKS.items() for wrong in all])
def test_a_wrong_callback_is_rejected(promise, wrong):
    assert_rejected(CallbackPromises, promise, wrong)


class CsvPromises(TrackerPromises):
    """The promises of a tracker, and what is in metrics.csv."""

    def records(self, folder):
        with open(folder / "metrics.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        return [(int(row["step"]), name, float(row[name])) for row in rows for name in row if name != "step" and row[name]]


class ForgetsToResume(CsvTracker):
    def go_on_from(self, step): ...


class BeginsAnew(CsvTracker):
    def go_on_from(self, step):
        self.path.unlink()


class Rounds(CsvTracker):
    def log_metrics(self, metrics, step=None):
        super().log_metrics({name: int(value) for name, value in metrics.items()}, step)


class Skips(CsvTracker):
    def log_metrics(self, metrics, step=None):
        if step is None or step % 20:
            super().log_metrics(metrics, step)


class NeedsNumbers(CsvTracker):
    def log_metrics(self, metrics, step=None):
        json.dumps({name: float(value) for name, value in metrics.items()}, allow_nan=False)


class NeedsAStep(CsvTracker):
    def log_metrics(self, metrics, step=None):
        super().log_metrics(metrics, step + 0)


class TakesOut(CsvTracker):
    def log_metrics(self, metrics, step=None):
        metrics.pop("epoch", None)


class HasNoName(Tracker):
    name = None  # type: ignore[assignment]

    def log_metrics(self, metrics, step=None): ...


class Refuses(CsvTracker):
    def log_metrics(self, metrics, step=None):
        if "validation/loss" in metrics:
            raise ConnectionError("the server is away")


class KnowsOneTable(CsvTracker):
    columns_of_the_table: list[str] = []

    def log_table(self, name, rows, step):
        self.columns_of_the_table = self.columns_of_the_table or list(rows[0])
        assert all(set(row) <= set(self.columns_of_the_table) for row in rows)


class TakesRows(CsvTracker):
    def log_table(self, name, rows, step):
        rows.clear()


class WritesTablesOnEveryRank(CsvTracker):
    def log_table(self, name, rows, step):
        (self.path.parent / f"{name}.txt").write_text(str(rows))


class FinishesWhatBegan(CsvTracker):
    def finish(self, exit_code):
        self.path.rename(self.path.with_suffix(".done"))


class FailsOnFailure(CsvTracker):
    def finish(self, exit_code):
        assert exit_code == 0


class LeavesAVariable(CsvTracker):
    def __init__(self, folder: Path):
        super().__init__(folder)
        os.environ["OF_A_WRONG_TRACKER"] = str(folder)


class WritesOnEveryRank(CsvTracker):
    def log_metrics(self, metrics, step=None):
        self.path.write_text("anything")


class WritesElsewhere(CsvTracker):
    def log_metrics(self, metrics, step=None):
        Path("metrics.txt").write_text("anything")


TRACKERS = {
    "follows a run": (HasNoName, Refuses),
    "takes any metric": (NeedsNumbers, NeedsAStep, TakesOut),
    "takes all there is": (KnowsOneTable, TakesRows),
    "ends in any state": (FinishesWhatBegan, FailsOnFailure, LeavesAVariable),
    "writes in its folder": (WritesOnEveryRank, WritesElsewhere, WritesTablesOnEveryRank),
    "records every metric": (Rounds, Skips),
    "goes on after a resume": (ForgetsToResume, BeginsAnew),
}


def test_a_right_tracker_is_accepted():
    assert_accepted(CsvPromises, CsvTracker)


@pytest.mark.parametrize(("promise", "wrong"), [(promise, wrong) for promise, all in TRACKERS.items() for wrong in all])
def test_a_wrong_tracker_is_rejected(promise, wrong, monkeypatch):
    monkeypatch.delenv("OF_A_WRONG_TRACKER", raising=False)
    assert_rejected(CsvPromises, promise, wrong)
    os.environ.pop("OF_A_WRONG_TRACKER", None)


class Right(LightningTrainer):
    """Nothing is wrong with this one."""


class MakesOneStepMore(LightningTrainer):
    def __init__(self, **options: Any):
        if options.get("max_steps", -1) > 0:
            options["max_steps"] += 1
        super().__init__(**options)


class LogsNothing(LightningTrainer):
    def __init__(self, **options: Any):
        super().__init__(**{**options, "logger": []})


class Clips(LightningTrainer):
    def __init__(self, **options: Any):
        super().__init__(**{**options, "gradient_clip_val": 1e-3})


class Accumulates(LightningTrainer):
    def __init__(self, **options: Any):
        super().__init__(**{**options, "accumulate_grad_batches": 2})


class BeginsFromTheStart(LightningTrainer):
    def fit(self, *arguments, ckpt_path=None, **options):
        super().fit(*arguments, **options)


class ForgetsCallbacks(LightningTrainer):
    def __init__(self, **options: Any):
        super().__init__(**{**options, "callbacks": []})


TRAINERS = {
    "makes its steps": (MakesOneStepMore, LogsNothing, Accumulates),
    "trains as lightning does": (Clips, Accumulates),
    "resumes bit for bit": (ForgetsCallbacks, BeginsFromTheStart),
}


def test_a_right_trainer_is_accepted():
    assert_accepted(TrainerPromises, Right)


@pytest.mark.parametrize(("promise", "wrong"), [(promise, wrong) for promise, all in TRAINERS.items() for wrong in all])
def test_a_wrong_trainer_is_rejected(promise, wrong):
    assert_rejected(TrainerPromises, promise, wrong)
