"""Weight averaging. Validation, checkpoints and the final model use the average; training continues with the live weights.

In a checkpoint the average is `state_dict`, and the live weights are a second entry, which `callbacks.Checkpoint` loads for resuming.
"""

from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EMAWeightAveraging
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from framework.registry import register

LIVE = "current_model_state"  # Lightning's key of the live weights in a checkpoint with averaged weights


@register("callback")
class Average(EMAWeightAveraging):
    """Exponential moving average of the weights, used in validation and in checkpoints. Polyak and Juditsky 1992, https://doi.org/10.1137/0330046

    decay: decay of the average in each step (0.999 is usual); null = no average.
    start: optimizer steps before the average starts.
    """

    option_traits: ClassVar = {"ruled": ("decay", "start")}
    provides: ClassVar[dict[str, str]] = {"moving_average": "decay is not None"}
    rules: ClassVar[dict[str, str]] = {
        "decay is None or 0 < decay < 1": "decay must be in (0, 1); null = no average",
        "start >= 0": "start must not be negative",
        "decay is None or 'weights_of_16_bits' not in provided": "weights of 16 bits round the small steps of an average away; "
        "take trainer.precision=bf16-mixed, or callbacks.average.decay=null",
        "decay is None or 'sharded_weights' not in provided": "an average needs all weights on every process; take trainer.strategy=ddp, "
        "or callbacks.average.decay=null",
    }

    def __init__(self, decay: float | None = None, start: int = 0):
        super().__init__(decay=decay or 0.0, update_starting_at_step=start)
        self.off, self.decay = decay is None, decay or 0.0

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """As Lightning's method, which however calls `configure_model` a second time, and whose weighted sum rounds in each step, so that
        frozen weights drift. Interpolation between equal weights is exact."""
        if stage == "fit":
            ema = get_ema_multi_avg_fn(self.decay)
            device = self._device or pl_module.device
            self._average_model = AveragedModel(pl_module, device, multi_avg_fn=ema, use_buffers=self._use_buffers)
            trainer.precision_plugin.convert_module(self._average_model)  # as the weights, which are converted after this

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Nothing: `last` may still be written with the live weights."""

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The model holds the average from now on, as the checkpoint `best` does, which is loaded for testing."""
        super().on_train_end(trainer, pl_module)
        self._average_model = None

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Load the live weights for training only; Lightning would also test them."""
        if trainer.state.fn == "fit":
            super().on_load_checkpoint(trainer, pl_module, checkpoint)


@register("callback")
class AverageLast(Callback):
    """Mean of the last snapshots of the weights, used in validation and in checkpoints. Vaswani et al. 2017, section 6.1

    https://arxiv.org/abs/1706.03762. `best` is the best mean, with its own metrics. Each snapshot is a copy of the weights in main memory,
    on every process, and in the checkpoint files.

    last: number of snapshots (5 and 10 are usual); null = no average.
    every: optimizer steps between snapshots; null = at each validation, or each epoch without validation.
    """

    option_traits: ClassVar = {"ruled": ("last", "every")}
    rules: ClassVar[dict[str, str]] = {
        "last is None or last >= 1": "last must be at least 1",
        "every is None or every >= 1": "every must be at least 1 optimizer step",
        "last is None or 'sharded_weights' not in provided": "an average needs all weights on every process; take trainer.strategy=ddp, or "
        "callbacks.average_last.last=null",
        "last is None or 'moving_average' not in provided": "callbacks.average.decay and callbacks.average_last.last "
        "exclude each other; set one to null",
    }

    def __init__(self, last: int | None = None, every: int | None = None):
        self.off = last is None
        self.last, self.every = last or 1, every
        self.snapshots: list[dict[str, Tensor]] = []  # oldest first
        self.step = 0  # of the newest snapshot
        self._live: dict[str, Tensor] | None = None  # while the module holds the mean

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.every is not None and trainer.global_step % self.every == 0:
            self._add_snapshot(trainer, pl_module)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        if self.every is None:
            self._add_snapshot(trainer, pl_module)
        if self.snapshots:
            self._live = weights(pl_module)
            pl_module.load_state_dict(self.mean())

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._live is not None:
            pl_module.load_state_dict(self._live)
            self._live = None

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.every is None and not trainer.enable_validation:
            self._add_snapshot(trainer, pl_module)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The module holds the mean from now on, as the checkpoint `best` does, which is loaded for testing."""
        if self.snapshots:
            pl_module.load_state_dict(self.mean())
            self.snapshots = []

    def _add_snapshot(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.global_step > self.step:  # once a step, also with micro-batches and after a resume
            self.snapshots = [*self.snapshots, weights(pl_module)][-self.last :]
            self.step = trainer.global_step

    def mean(self) -> dict[str, Tensor]:
        """The mean, computed in float64; tensors of integers are the newest ones."""
        mean = dict(self.snapshots[-1])
        for name, newest in mean.items():
            if newest.is_floating_point():
                total = torch.zeros_like(newest, dtype=torch.float64)
                for snapshot in self.snapshots:
                    total += snapshot[name]
                mean[name] = (total / len(self.snapshots)).to(newest.dtype)
        return mean

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        if self.snapshots:
            checkpoint[LIVE], checkpoint["state_dict"] = checkpoint["state_dict"], self.mean()

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "snapshots": self.snapshots}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.step, self.snapshots = state_dict["step"], state_dict["snapshots"][-self.last :]


def weights(module: pl.LightningModule) -> dict[str, Tensor]:
    """A copy of the weights in main memory."""
    return {name: value.detach().to("cpu", copy=True) for name, value in module.state_dict().items()}
