"""Contract tests of callbacks, in runs at toy size."""

import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning.callbacks import Callback

from framework.errors import UserError
from framework.registry import Part
from framework.testing.contract import KindPromises, equal, require, saved_and_loaded
from framework.testing.promise import BrokenPromise
from framework.testing.toy_run import MONITOR, ToyRun, toy_run, weights

SAVED = (4, 9)  # steps of the checkpoints to resume from; an epoch has six


class CallbackPromises(KindPromises):
    """Contract tests of a callback. It gets `folder`, `monitor` and `mode`, and has the hooks of PyTorch Lightning."""

    def callback(self, run: ToyRun) -> Callback:
        return self.with_values()(folder=run.folder, monitor=MONITOR, mode="min")

    def checkpoint(self, run: ToyRun) -> list[Callback]:
        """The callback that saves checkpoints and restores the weights of a resumed run, unless it is the one that is tested."""
        cls = Part("callback/checkpoint").cls
        return [] if issubclass(self.with_values().cls, cls) else [cls(folder=run.folder, monitor=MONITOR, mode="min")]

    def test_survives_a_run(self) -> None:
        """A run with the callback trains, with and without validation, and is validated and tested afterwards. A callback that needs
        validation may refuse a run without, with a UserError."""
        for validation in (True, False):
            with toy_run() as run:
                try:
                    trainer = run.trainer(callbacks=[self.callback(run)])
                    learner = run.fit(trainer, validation=validation)
                    trainer.validate(learner, run.prepared.loader("validation"), verbose=False)
                    trainer.test(learner, run.prepared.loader("test"), verbose=False)
                except UserError:
                    if validation:
                        raise
                    continue
                except Exception as error:
                    said = "with" if validation else "without"
                    raise BrokenPromise(f"survives a run: {said} validation it ends in {type(error).__name__}: {error}") from error
                require(trainer.global_step > 0, "survives a run: no step was made")

    def test_resumes_bit_for_bit(self) -> None:
        """A run that stopped within an epoch and goes on with a new callback ends with the weights, and the state of the callback, of a run
        that did not stop."""
        with toy_run() as run:
            whole = self.callback(run)
            expected = weights(run.fit(run.trainer(callbacks=[*self.checkpoint(run), whole, SaveAfter(run.folder)])))
            for file in sorted(run.folder.glob("step*.ckpt")):
                resumed = self.callback(run)
                got = weights(run.fit(run.trainer(callbacks=[*self.checkpoint(run), resumed]), resume=file))
                differing = [name for name, value in expected.items() if not torch.equal(value, got[name])]
                require(not differing, f"resumes bit for bit: resumed from {file.stem}, {', '.join(differing[:3])} differs at the end")
                one, other = whole.state_dict(), resumed.state_dict()
                require(equal(one, other), f"resumes bit for bit: resumed from {file.stem}, its state is {other} at the end, not {one}")

    def test_its_state_is_saved(self) -> None:
        """`state_dict` is of tensors and plain values, and a new callback that loads it has the same state."""
        with toy_run() as run:
            callback, other = self.callback(run), self.callback(run)
            run.fit(run.trainer(callbacks=[callback]))
            state = callback.state_dict()
            if state:
                other.load_state_dict(saved_and_loaded(state, "its state is saved"))
            require(equal(other.state_dict(), state), f"its state is saved: {state} is loaded as {other.state_dict()}")

    def test_draws_no_random_numbers(self) -> None:
        """Its hooks leave the global generators of Python, NumPy and torch as they were, so a run draws the same without it."""
        with toy_run() as run:
            callback = self.callback(run)
            for name in (name for name in dir(Callback) if name.startswith(("on_", "setup", "teardown"))):
                setattr(callback, name, watched(name, getattr(callback, name)))
            run.fit(run.trainer(callbacks=[callback]))


class SaveAfter(Callback):
    """Saves checkpoints in the course of a run, as a run that is killed leaves one behind."""

    def __init__(self, folder: Path):
        self.folder = folder

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step in SAVED:
            trainer.save_checkpoint(self.folder / f"step {trainer.global_step}.ckpt", weights_only=False)


def watched(name: str, hook: Callable[..., Any]) -> Callable[..., Any]:
    """The hook; BrokenPromise: a global generator has another state after it."""

    def watch(*arguments: Any, **keywords: Any) -> Any:
        before = generators()
        result = hook(*arguments, **keywords)
        drawn = [of for of, state in generators().items() if state != before[of]]
        require(not drawn, f"draws no random numbers: {name} draws from the global generator of {', '.join(drawn)}; use one of its own")
        return result

    return watch


def generators() -> dict[str, Any]:
    """The states of the global generators."""
    return {"Python": random.getstate(), "NumPy": pickle.dumps(np.random.get_state()), "torch": torch.get_rng_state().numpy().tobytes()}
