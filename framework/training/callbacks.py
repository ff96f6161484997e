"""Callbacks: how they are built, and the one that saves checkpoints.

Context arguments: folder (of the run), monitor and mode (the task's monitored metric).
A callback whose attribute `off` is true is not used.
"""

import contextlib
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, NoReturn, cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.callbacks import Checkpoint as LightningCheckpoint

from framework.errors import UserError
from framework.registry import build, register
from framework.training.averaging import LIVE
from framework.training.background import Background, host_copy
from framework.training.checkpoint_files import keep_step, link, save
from framework.training.early_stopping import EarlyStopping
from framework.training.interruption import Interrupted, interruption
from framework.training.loops import FitLoop
from framework.training.place import Place
from framework.utils.files import remove_partial


def build_callbacks(nodes: Mapping[str, Mapping[str, Any]], **context: Any) -> list[Callback]:
    """The callbacks of a config that are not off."""
    built = [build(node, **context) for node in nodes.values()]
    return [callback for callback in built if not getattr(callback, "off", False)]


def stopping_reason(callbacks: Iterable[Callback]) -> str | None:
    """Why early stopping ended the training; None if it did not."""
    return next((callback.stopping_reason_message for callback in callbacks if isinstance(callback, EarlyStopping)), None)


def best_share(callbacks: Iterable[Callback], steps: int) -> float | None:
    """The share of the optimizer steps after which the best checkpoint was kept; None where no score chose it."""
    found = next((each for each in callbacks if isinstance(each, Checkpoint)), None)
    return None if found is None or found.best is None or found.best_step is None or not steps else found.best_step / steps


@register("callback")
class Checkpoint(LightningCheckpoint):
    """Saves `checkpoints/last.ckpt`, the newest state, and `checkpoints/best.ckpt`, the state with the best monitored metric.

    Both are written at each validation (without validation, at the end of each epoch). Ctrl-C, SIGTERM and SIGUSR1 finish the current step
    and save `last`; a second Ctrl-C stops at once.

    every_n_train_steps: optimizer steps after which `last` is also saved; null = never.
    keep_last: so many of the newest checkpoints are kept as `step_NUMBER.ckpt`, `last` among them; null = none.
    background: copy a checkpoint to main memory and write it while training goes on. The next one waits until it is written, and so do
        the end of training and a signal.
    """

    option_traits: ClassVar = {"ruled": ("every_n_train_steps", "keep_last", "background")}
    rules: ClassVar[dict[str, str]] = {
        "every_n_train_steps is None or every_n_train_steps >= 1": "every_n_train_steps must be at least 1, or null for never",
        "keep_last is None or keep_last >= 1": "keep_last must be at least 1, or null for none",
    }

    def __init__(
        self,
        folder: Path,
        monitor: str,
        mode: Literal["min", "max"],
        every_n_train_steps: int | None = None,
        keep_last: int | None = None,
        background: bool = False,
    ):
        self.folder = Path(folder) / "checkpoints"
        self.monitor, self.mode, self.every_n_train_steps, self.keep_last = monitor, mode, every_n_train_steps, keep_last
        self.writer = Background() if background else None
        self.best: float | None = None  # score of `best`; None where nothing has been validated
        self.kept = False  # whether there is a `best`
        self.best_step: int | None = None  # optimizer steps before it
        self.saved: Place | None = None  # of `last`

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage == "fit" and trainer.is_global_zero:
            remove_partial(self.folder)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        interruption.deferred = True
        self.saved = cast(FitLoop, trainer.fit_loop).resumed

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        interruption.deferred = False
        if self.writer is not None:
            with contextlib.suppress(OSError, UserError):  # what ended the training is told
                self.writer.wait()

    def on_train_step_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.writer is not None:
            self.writer.check()
        due = self.every_n_train_steps is not None and trainer.global_step % self.every_n_train_steps == 0
        signal = interruption.asked(trainer)
        if due or signal:
            self._save(trainer, "last")
        if signal:
            self._stop(signal)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        score = trainer.callback_metrics.get(self.monitor)
        if score is None:
            raise UserError(f"the monitored metric {self.monitor!r} is not among {', '.join(sorted(trainer.callback_metrics)) or 'none'}")
        self._keep(trainer, float(score))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.enable_validation:
            self._keep(trainer, None)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        saved = self.saved
        if not self.kept:  # training ended before any validation
            self._keep(trainer, None)
        elif saved is None or saved.steps != trainer.global_step or not saved.validated:
            self._save(trainer, "last")
        if self.writer is not None:
            self.writer.wait()
        trainer.strategy.barrier()
        interruption.deferred = False
        if signal := interruption.asked(trainer):
            self._stop(signal)

    def _keep(self, trainer: pl.Trainer, score: float | None) -> None:
        """Save `last`, and as `best` too if its score is. Without a score the newest is the best.

        `best` is there first: a run that is killed between the two goes on from the `last` before, and comes to the same again.
        """
        better = score is None or self.best is None or math.isnan(self.best)
        if score is not None and self.best is not None:
            better = better or (score < self.best if self.mode == "min" else score > self.best)
        if better:
            self.best, self.kept, self.best_step = score, True, trainer.global_step
        self._save(trainer, "best" if better else "last")
        if signal := interruption.asked(trainer):
            self._stop(signal)

    def _save(self, trainer: pl.Trainer, name: str) -> None:
        """Save the whole state as `last`, or as `best` and then as `last` too. Every rank takes part."""
        with trainer.profiler.profile("save_checkpoint"):  # type: ignore[attr-defined]
            checkpoint = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
            step = trainer.global_step
            if self.writer is None:
                trainer.strategy.save_checkpoint(checkpoint, self._file(name))
                if trainer.is_global_zero:
                    self._link(name, step)
            elif trainer.is_global_zero:
                copied = host_copy(checkpoint)
                self.writer.start(lambda: self._write(copied, name, step))
            trainer.strategy.barrier()
        self.saved, interruption.saved = cast(FitLoop, trainer.fit_loop).place, step

    def _write(self, checkpoint: dict[str, Any], name: str, step: int) -> None:
        save(checkpoint, self._file(name))
        self._link(name, step)

    def _link(self, name: str, step: int) -> None:
        """Give what was saved its other names."""
        if name == "best":
            link(self._file("best"), self._file("last"))
        if self.keep_last is not None:
            keep_step(self._file("last"), step, self.keep_last)

    def _stop(self, signal: int) -> NoReturn:
        """Interrupted, when all that was saved is written."""
        if self.writer is not None:
            self.writer.wait()
        raise Interrupted(signal)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.ckpt"

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Continue training from the live weights, with or without averaging; the average has been loaded before."""
        if trainer.state.fn == "fit":
            interruption.saved = checkpoint["global_step"]
            if LIVE in checkpoint:
                pl_module.load_state_dict(checkpoint[LIVE])

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "kept": self.kept, "best_step": self.best_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.kept, self.best_step = state_dict["best"], state_dict["kept"], state_dict["best_step"]
        if not self._file("best").exists():  # a run that went back to an earlier step
            self.best, self.kept, self.best_step = None, False, None
