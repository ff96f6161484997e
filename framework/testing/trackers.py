"""Contract tests of trackers."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from framework.testing.contract import KindPromises, require
from framework.testing.promise import BrokenPromise, Inapplicable
from framework.testing.toy_run import ToyRun
from framework.tracking.base import Tracker

CONFIG = {"task": {"part": "task/toy", "smoothing": 0.1}, "seed": 3, "name": "a run"}
LATER: tuple[dict[str, float], ...] = ({}, {"new": 1}, {"nan": float("nan"), "infinite": float("inf")})
Record = tuple[int, str, float]  # step, metric, value


class TrackerPromises(KindPromises):
    """Contract tests of a tracker. It gets `folder`, `name`, `named`, `config` and `chosen`.

    A tracker of a file can be held to what it wrote: a subclass gives `records`.
    """

    def records(self, folder: Path) -> list[Record]:
        """The metrics that the tracker recorded in the folder of a run, in their order: (step, metric, value)."""
        raise Inapplicable("records(folder) reads what the tracker wrote; this suite has none")

    def tracker(self, folder: Path) -> Tracker:
        return self.with_values()(folder=folder, name="a run", named=True, config=CONFIG, chosen={"model/attention": "multi_head"})

    def test_follows_a_run(self) -> None:
        """A run with the tracker trains, is tested, and ends."""
        with folder_of_a_run() as folder:
            run = ToyRun(folder)
            tracker = self.tracker(folder)
            try:
                trainer = run.trainer(trackers=[tracker], max_epochs=1)
                learner = run.fit(trainer)
                trainer.test(learner, run.prepared.loader("test"), verbose=False)
                tracker.finish(0)
            except Exception as error:
                raise BrokenPromise(f"follows a run: it ends in {type(error).__name__}: {error}") from error
            require(isinstance(tracker.name, str) and tracker.name, f"follows a run: its name is {tracker.name!r}")

    def test_takes_any_metric(self) -> None:
        """Numbers of Python and of torch, NaN and infinity, metrics that come later, and no step are taken and left as they are."""
        metrics: dict[str, Any] = {"train/loss": 1.5, "epoch": 0, "test/f1": torch.tensor(0.25), "a b,c\"d'é": 2, "big": 1e300}
        with folder_of_a_run() as folder:
            tracker = self.tracker(folder)
            try:
                for step, more in enumerate(LATER):
                    given, before = {**metrics, **more}, {**metrics, **more}
                    tracker.log_metrics(given, step=10 * step)
                    require(str(given) == str(before), "takes any metric: the mapping that it was given has changed")
                tracker.log_metrics({"final/loss": 0.5}, step=None)
                tracker.finish(0)
            except BrokenPromise:
                raise
            except Exception as error:
                raise BrokenPromise(f"takes any metric: {type(error).__name__}: {error}") from error

    def test_ends_in_any_state(self) -> None:
        """`finish` ends it, successfully or not, also before the first metric, and leaves the environment as it was."""
        for code in (0, 1):
            for logged in (False, True):
                with folder_of_a_run() as folder:
                    before, tracker = dict(os.environ), self.tracker(folder)
                    try:
                        if logged:
                            tracker.log_metrics({"train/loss": 1.0}, step=1)
                        tracker.finish(code)
                    except Exception as error:
                        said = "after" if logged else "before"
                        raise BrokenPromise(
                            f"ends in any state: finish({code}) {said} a metric: {type(error).__name__}: {error}"
                        ) from error
                    changed = sorted(key for key in {*before, *os.environ} if before.get(key) != os.environ.get(key))
                    require(not changed, f"ends in any state: the environment has another {', '.join(changed)} for the next job of a sweep")

    def test_writes_in_its_folder(self) -> None:
        """Its files are in the folder of the run, on rank zero alone."""
        with folder_of_a_run() as folder:
            for rank in (1, 0):
                with patch.object(rank_zero_only, "rank", rank):
                    tracker = self.tracker(folder)
                    tracker.log_metrics({"train/loss": 1.0}, step=1)
                    tracker.finish(0)
                written = sorted(path.name for path in folder.iterdir())
                require(not (rank and written), f"writes in its folder: rank {rank} writes {', '.join(written)}")
            stray = sorted(path.name for path in Path.cwd().iterdir())
            require(not stray, f"writes in its folder: {', '.join(stray)} is in the current folder")

    def test_records_every_metric(self) -> None:
        """Every metric is recorded, with its step, in the order of the calls."""
        with folder_of_a_run() as folder:
            tracker, expected = self.tracker(folder), logged(range(10, 40, 10))
            self.log(tracker, expected)
            tracker.finish(0)
            self.compare("records every metric", folder, expected)

    def test_goes_on_after_a_resume(self) -> None:
        """A run that resumes after a step records the later metrics again: each is there once, in order."""
        with folder_of_a_run() as folder:
            first, early, late = self.tracker(folder), logged(range(10, 40, 10)), logged(range(30, 60, 10), value=7.0)
            self.log(first, early)
            first.finish(1)
            second = self.tracker(folder)
            second.go_on_from(20)
            self.log(second, late)
            second.finish(0)
            self.compare("goes on after a resume", folder, [record for record in early if record[0] <= 20] + late)

    def log(self, tracker: Tracker, records: list[Record]) -> None:
        for step in dict.fromkeys(step for step, _, _ in records):
            tracker.log_metrics({name: value for at, name, value in records if at == step}, step=step)

    def compare(self, promise: str, folder: Path, expected: list[Record]) -> None:
        recorded = [tuple(record) for record in self.records(folder)]
        require(recorded == expected, f"{promise}: recorded are {recorded}, and given were {expected}")


def logged(steps: range, value: float = 0.5) -> list[Record]:
    return [record for step in steps for record in ((step, "train/loss", value * step), (step, "train/lr", value))]


@contextmanager
def folder_of_a_run() -> Iterator[Path]:
    """The folder of a run; the current folder is another one, empty."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as elsewhere:
        here = Path.cwd()
        try:
            os.chdir(elsewhere)
            yield Path(folder)
        finally:
            os.chdir(here)
