"""Callbacks: checkpoints and early stopping.

Context arguments: folder (of the run), monitor and mode (the task's monitored metric).
A callback whose attribute `off` is true is not used.
"""

import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.callbacks import Checkpoint as LightningCheckpoint
from pytorch_lightning.callbacks import EarlyStopping as LightningEarlyStopping

from framework.errors import UserError
from framework.registry import build, register
from framework.training.averaging import LIVE
from framework.training.interruption import Interrupted, interruption
from framework.utils.files import remove_partial, replacing


def build_callbacks(nodes: Mapping[str, Mapping[str, Any]], **context: Any) -> list[Callback]:
    """The callbacks of a config that are not off."""
    built = [build(node, **context) for node in nodes.values()]
    return [callback for callback in built if not getattr(callback, "off", False)]


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
        self.best: float | None = None
        self.saved = -1  # step of `last`

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage == "fit" and trainer.is_global_zero:
            remove_partial(self.folder)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        interruption.deferred = True

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        interruption.deferred = False

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.fit_loop._should_accumulate():
            return  # within a step its accumulated gradient would be lost
        due = self.every_n_train_steps is not None and trainer.global_step % self.every_n_train_steps == 0
        if trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps:
            trainer.should_stop = True  # validate and save the last step, also within an epoch
        signal = interruption.asked(trainer)
        if due or signal:
            self._save(trainer)
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
        if self.saved != trainer.global_step:  # training ended between validations
            self._keep(trainer, None) if self.best is None else self._save(trainer)
        interruption.deferred = False

    def _keep(self, trainer: pl.Trainer, score: float | None) -> None:
        """Save `last`, and as `best` too if its score is. Without a score the newest is the best."""
        better = score is None or self.best is None or math.isnan(self.best)
        if score is not None and self.best is not None:
            better = better or (score < self.best if self.mode == "min" else score > self.best)
        if better:
            self.best = score
        self._save(trainer)
        if better and trainer.is_global_zero:
            self._link_best()
        trainer.strategy.barrier()
        if signal := interruption.asked(trainer):
            raise Interrupted(signal)

    def _save(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self.folder / "last.ckpt", weights_only=False)  # the whole state
        self.saved = interruption.saved = trainer.global_step

    def _link_best(self) -> None:
        """`best` as a hard link to `last`; files are always replaced and never modified."""
        last, best, link = (self.folder / name for name in ("last.ckpt", "best.ckpt", ".best.ckpt.partial"))
        link.unlink(missing_ok=True)
        try:
            os.link(last, link)
        except OSError:  # the file system has no hard links
            with open(last, "rb") as data, replacing(best) as file:
                shutil.copyfileobj(data, file)
        else:
            os.replace(link, best)

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Continue training from the live weights, with or without averaging; the average has been loaded before."""
        if trainer.state.fn == "fit":
            interruption.saved = checkpoint["global_step"]
            if LIVE in checkpoint:
                pl_module.load_state_dict(checkpoint[LIVE])

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]


@register("callback")
class EarlyStopping(LightningEarlyStopping):
    """Stops training when the monitored metric has stopped improving.

    patience: validations without improvement before stopping; null = no early stopping.
    min_delta: least change that counts as an improvement.
    """

    rules: ClassVar[dict[str, str]] = {
        "patience is None or patience >= 0": "patience must not be negative; null = no early stopping",
        "min_delta >= 0": "min_delta must not be negative",
    }

    def __init__(self, monitor: str, mode: Literal["min", "max"], patience: int | None = None, min_delta: float = 0.0):
        super().__init__(monitor, min_delta=min_delta, patience=patience or 0, mode=mode)
        self.off = patience is None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.enable_validation:
            raise UserError("early stopping needs validation rows: set data.validation=FILE, or callbacks.early_stopping.patience=null")
