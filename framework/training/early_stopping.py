"""Early stopping. Context arguments: monitor and mode (the task's monitored metric)."""

import math
from typing import Any, ClassVar, Literal

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping as LightningEarlyStopping

from framework.errors import UserError
from framework.registry import register


@register("callback")
class EarlyStopping(LightningEarlyStopping):
    """Stops training when the monitored metric has stopped improving, and says why. Resumed with more patience, such a run trains on.

    patience: validations without improvement before stopping; null = no early stopping.
    min_delta: least change that counts as an improvement.
    """

    option_traits: ClassVar = {"ruled": ("patience", "min_delta")}
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
