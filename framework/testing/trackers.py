"""Contract tests of trackers."""

import os
import tempfile
from base64 import b64decode
from collections.abc import Callable, Iterator
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
from framework.utils.markup import Html

CONFIG = {"task": {"part": "task/toy", "smoothing": 0.1}, "seed": 3, "name": "a run"}
LATER: tuple[dict[str, float], ...] = ({}, {"new": 1}, {"nan": float("nan"), "infinite": float("inf")})
Record = tuple[int, str, float]  # step, metric, value
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
FILES = {  # in the folder of a run
    "confusion.csv": b"reference,even,odd\neven,3,1\nodd,0,2\n",
    "report.csv": b"label,f1\neven,0.5\n",
    "report.html": "<p>größer</p>".encode(),
    "code.diff": b"-a\n+b\n",
    "curves.png": b64decode(_PIXEL),
    "best.ckpt": b"weights",
    "config.yaml": b"seed: 3\n",
}


class TrackerPromises(KindPromises):
    """Contract tests of a tracker. It gets `folder`, `name`, `named`, `config`, `chosen` and `sweep`.

    A tracker of a file can be held to what it wrote: a subclass gives `records`.
    """

    def records(self, folder: Path) -> list[Record]:
        """The metrics that the tracker recorded in the folder of a run, in their order: (step, metric, value)."""
        raise Inapplicable("records(folder) reads what the tracker wrote; this suite has none")

    def tracker(self, folder: Path) -> Tracker:
        context = {"name": "a run", "named": True, "config": CONFIG, "chosen": {"model/attention": "multi_head"}, "sweep": "a sweep"}
        return self.with_values()(folder=folder, **context)

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

    def test_takes_all_there_is(self) -> None:
        """Facts, tables that grow and change their columns, pictures, files, the checkpoint, texts and alerts are taken, with a place for
        them or without, and left as they are."""
        with folder_of_a_run() as folder:
            tracker = self.tracker(folder)
            for event, (call, given) in events(tracker, folder).items():
                before = str(given)
                try:
                    call(*given)
                except Exception as error:
                    raise BrokenPromise(f"takes all there is: {event}: {type(error).__name__}: {error}") from error
                require(str(given) == before, f"takes all there is: {event}: what it was given has changed")
            try:
                tracker.finish(2)
            except Exception as error:
                raise BrokenPromise(f"takes all there is: the end after it: {type(error).__name__}: {error}") from error

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
                    for call, given in events(tracker, folder).values() if rank else ():
                        call(*given)
                    tracker.finish(0)
                written = sorted(path.name for path in folder.iterdir() if path.name not in FILES)
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


def events(tracker: Tracker, folder: Path) -> dict[str, tuple[Callable[..., None], tuple[Any, ...]]]:
    """Calls of a tracker besides metrics, in an order that there may be: name -> method and arguments."""
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    paths = {name: folder / name for name in FILES}
    facts = {"command": "python train.py", "data": {"train": {"rows": 3, "fingerprint": "a"}}, "settings": ["a"], "commit": None}
    rows = [{"row": 0, "input": "a | b\n<c>", "score": 0.5, "prediction": None, "in text": Html("<b>c</b>")}, {"row": 1, "input": "d"}]
    return {
        "facts": (tracker.log_facts, (facts,)),
        "a table": (tracker.log_table, ("predictions", rows, 10)),
        "more rows": (tracker.log_table, ("predictions", rows, 20)),
        "rows with other columns": (tracker.log_table, ("predictions", [{"other": 1.5}], 20)),
        "no rows": (tracker.log_table, ("predictions", [], 20)),
        "pictures": (tracker.log_images, ({"curves": paths["curves.png"]}, 20)),
        "no pictures": (tracker.log_images, ({}, 20)),
        "files": (tracker.log_files, (list(paths.values()),)),
        "the files again": (tracker.log_files, (list(paths.values()),)),
        "the checkpoint": (tracker.log_checkpoint, ({"checkpoints/best.ckpt": paths["best.ckpt"], "config.yaml": paths["config.yaml"]},)),
        "a text": (tracker.log_text, ("why it failed\nTraceback",)),
        "no text": (tracker.log_text, ("",)),
        **{f"an alert, {outcome}": (tracker.alert, (outcome, "because")) for outcome in ("finished", "failed", "diverged")},
    }


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
