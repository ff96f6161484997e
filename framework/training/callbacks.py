"""Callbacks: checkpoints and early stopping.

Context arguments: folder (of the run), monitor and mode (the task's monitored metric).
A callback whose attribute `off` is true is not used.
"""

import math
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.callbacks import Checkpoint as LightningCheckpoint
from pytorch_lightning.callbacks import EarlyStopping as LightningEarlyStopping

from framework.errors import UserError
from framework.registry import build, register
from framework.training.averaging import LIVE
from framework.training.interruption import Interrupted, interruption
from framework.training.loops import FitLoop
from framework.training.place import Place
from framework.utils.files import remove_partial, replacing, sync


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
    """

    rules: ClassVar[dict[str, str]] = {
        "every_n_train_steps is None or every_n_train_steps >= 1": "every_n_train_steps must be at least 1, or null for never"
    }

    def __init__(self, folder: Path, monitor: str, mode: Literal["min", "max"], every_n_train_steps: int | None = None):
        self.folder = Path(folder) / "checkpoints"
        self.monitor, self.mode, self.every_n_train_steps = monitor, mode, every_n_train_steps
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

    def on_train_step_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        due = self.every_n_train_steps is not None and trainer.global_step % self.every_n_train_steps == 0
        signal = interruption.asked(trainer)
        if due or signal:
            self._save(trainer, "last")
        if signal:
            raise Interrupted(signal)

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
        interruption.deferred = False
        if signal := interruption.asked(trainer):
            raise Interrupted(signal)

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
        if better and trainer.is_global_zero:
            self._link("best", "last")
        trainer.strategy.barrier()
        if signal := interruption.asked(trainer):
            raise Interrupted(signal)

    def _save(self, trainer: pl.Trainer, name: str) -> None:
        trainer.save_checkpoint(self._file(name), weights_only=False)  # the whole state
        self.saved, interruption.saved = cast(FitLoop, trainer.fit_loop).place, trainer.global_step

    def _link(self, file: str, other: str) -> None:
        """A second name for a checkpoint, as a hard link; files are always replaced and never modified."""
        link = self.folder / f".{other}.ckpt.link.partial"
        link.unlink(missing_ok=True)
        try:
            os.link(self._file(file), link)
        except OSError:  # the file system has no hard links
            with open(self._file(file), "rb") as data, replacing(self._file(other)) as copy:
                shutil.copyfileobj(data, copy)
        else:
            os.replace(link, self._file(other))
            sync(self.folder)

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


@register("callback")
class EarlyStopping(LightningEarlyStopping):
    """Stops training when the monitored metric has stopped improving, and says why. Resumed with more patience, such a run trains on.

    patience: validations without improvement before stopping; null = no early stopping.
    min_delta: least change that counts as an improvement.
    """

    rules: ClassVar[dict[str, str]] = {
        "patience is None or patience >= 0": "patience must not be negative; null = no early stopping",
        "min_delta >= 0": "min_delta must not be negative",
    }

    def __init__(self, monitor: str, mode: Literal["min", "max"], patience: int | None = None, min_delta: float = 0.0):
        super().__init__(monitor, min_delta=min_delta, patience=patience or 0, mode=mode, check_on_train_epoch_end=False)
        self.off = patience is None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.enable_validation:
            raise UserError("early stopping needs validation rows: set data.validation=FILE, or callbacks.early_stopping.patience=null")
        if not trainer.should_stop:  # resumed with other options, a run goes on
            self.stopping_reason_message = None

    def _run_early_stopping_check(self, trainer: pl.Trainer) -> None:
        before, self.stopping_reason_message = self.stopping_reason_message, None
        super()._run_early_stopping_check(trainer)
        if self.stopping_reason_message is not None:
            score = float(trainer.callback_metrics[self.monitor])
            why = f"has not improved on {float(self.best_score):.4g} in {self.wait_count} validation{'s' * (self.wait_count > 1)}"
            why = why if math.isfinite(score) else f"is {score}"
            where = f"step {trainer.global_step}, epoch {trainer.current_epoch + 1}"
            self.stopping_reason_message = before or f"early stopping at {where}: {self.monitor} {why}"
            if before is None and trainer.is_global_zero:
                print(self.stopping_reason_message, flush=True)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As Lightning's method, but the options are those of the config."""
        super().load_state_dict({**state_dict, "patience": self.patience})
