"""A callback that stops at a target."""

from typing import Any, ClassVar, Literal

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from framework import register


@register("callback")
class SpecimenCallback(Callback):
    """Stops training once the monitored metric has reached a value in several validations, one after the other.

    target: value to reach; null = never stop.
    patience: number of validations.
    """

    rules: ClassVar[dict[str, str]] = {"patience >= 1": "patience must be at least 1"}

    def __init__(self, monitor: str, mode: Literal["min", "max"], target: float | None = None, patience: int = 1):
        self.monitor, self.mode, self.target, self.patience = monitor, mode, target, patience
        self.off = target is None  # a callback that is off is left out
        self.reached = 0

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking or self.target is None:
            return
        value = float(trainer.callback_metrics[self.monitor])
        self.reached = self.reached + 1 if (value <= self.target if self.mode == "min" else value >= self.target) else 0
        trainer.should_stop = trainer.should_stop or self.reached >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """State of the callback in a checkpoint, for resumed runs."""
        return {"reached": self.reached}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.reached = state_dict["reached"]
