"""Contract tests of trainers, in runs at toy size."""

import torch

from framework.registry import Part
from framework.testing.callbacks import SaveAfter
from framework.testing.contract import KindPromises, require
from framework.testing.toy_run import toy_run, weights
from framework.tracking.base import Tracker


class Recorder(Tracker):
    """Keeps the metrics that it is given."""

    name = "recorder"

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[int] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if "train/loss" in metrics and step is not None:
            self.steps.append(step)


class TrainerPromises(KindPromises):
    """Contract tests of a trainer. It gets `callbacks`, `logger`, `plugins` and `default_root_dir`, and trains as Lightning's does."""

    def test_makes_its_steps(self) -> None:
        """A run makes the optimizer steps that `max_epochs` or `max_steps` asks for, each logged once; the loss falls."""
        for values, steps in (({"max_epochs": 2}, 12), ({"max_epochs": 9, "max_steps": 8}, 8)):
            with toy_run() as run:
                tracker = Recorder()
                trainer = run.trainer(self.with_values(), trackers=[tracker], **values)
                run.fit(trainer)
                require(trainer.global_step == steps, f"makes its steps: {trainer.global_step} of {steps} with {values}")
                require(tracker.steps == list(range(1, steps + 1)), f"makes its steps: logged were the steps {tracker.steps} with {values}")

    def test_trains_as_lightning_does(self) -> None:
        """The weights after a run are those of `trainer=lightning`, bit for bit: rows, order, dropout and steps are not the trainer's."""
        with toy_run() as run:
            expected = weights(run.fit(run.trainer(Part("trainer/lightning"))))
            got = weights(run.fit(run.trainer(self.with_values())))
            differing = [name for name, value in expected.items() if not torch.equal(value, got[name])]
            require(not differing, f"trains as lightning does: {', '.join(differing[:3])} differs after two epochs")

    def test_resumes_bit_for_bit(self) -> None:
        """A run resumed within an epoch ends with the weights of one that did not stop."""
        with toy_run() as run:
            expected = weights(run.fit(run.trainer(self.with_values(), callbacks=[SaveAfter(run.folder)])))
            files = sorted(run.folder.glob("step*.ckpt"))
            require(files, "resumes bit for bit: the callback that saves checkpoints was not called")
            for file in files:
                got = weights(run.fit(run.trainer(self.with_values()), resume=file))
                differing = [name for name, value in expected.items() if not torch.equal(value, got[name])]
                require(not differing, f"resumes bit for bit: resumed from {file.stem}, {', '.join(differing[:3])} differs at the end")
