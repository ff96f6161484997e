"""Averages of the weights: what is validated, kept and used is the average, what is trained are the live weights.

A checkpoint holds the average as its weights (`state_dict`) and beside it the live ones, for a run that is resumed.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EMAWeightAveraging
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from framework.errors import UserError
from framework.registry import register
from framework.training.strategies import ShardedStrategy

LIVE = "current_model_state"  # Lightning's name for the live weights in a checkpoint whose weights are an average


def load_live_weights(module: pl.LightningModule, checkpoint: Mapping[str, Any]) -> None:
    """Takes the average, which has just been loaded as the weights, back out of a module that goes on training."""
    if LIVE in checkpoint:
        module.load_state_dict(checkpoint[LIVE])


def check_weights_are_whole(trainer: pl.Trainer, option: str) -> None:
    """UserError: every process holds but a part of the weights."""
    if isinstance(trainer.strategy, ShardedStrategy):
        raise UserError(f"{option}: an average needs whole weights on every process; use trainer=ddp, or null")


@register("callback")
class Average(EMAWeightAveraging):
    """Keeps a moving average of the weights; validation, `best` and everything made of a checkpoint use it. Polyak and Juditsky 1992, https://doi.org/10.1137/0330046

    decay: share of the average that stays at each step (0.999 is usual); null keeps none.
    start: optimizer steps before the average begins.
    """

    provides: ClassVar[dict[str, str]] = {"moving_average": "decay is not None"}

    def __init__(self, decay: float | None = None, start: int = 0):
        super().__init__(decay=decay or 0.0, update_starting_at_step=start)
        self.off, self.decay = decay is None, decay or 0.0

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """As Lightning's, which would call our `configure_model` a second time, and whose sum of two shares rounds at each step: frozen
        weights would wander off. What is interpolated between equal numbers stays."""
        if stage == "fit":
            check_weights_are_whole(trainer, "callbacks.average.decay")
            ema = get_ema_multi_avg_fn(self.decay)
            device = self._device or pl_module.device
            self._average_model = AveragedModel(pl_module, device, multi_avg_fn=ema, use_buffers=self._use_buffers)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Nothing yet: `last` may still be written, with the live weights."""

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The model holds the average from here on, and so does what is loaded into it: `best`, to be measured."""
        super().on_train_end(trainer, pl_module)
        self._average_model = None

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Only training goes on with the live weights; Lightning would also test them."""
        if trainer.state.fn == "fit":
            super().on_load_checkpoint(trainer, pl_module, checkpoint)


@register("callback")
class AverageLast(Callback):
    """Validation, `best` and all that is made of a checkpoint use the mean of the last few weights. Vaswani et al. 2017, section 6.1

    https://arxiv.org/abs/1706.03762. So `best` is the mean that was best, with the figures that were measured of it. Until there
    are as many, it is the mean of those there are. Each is a copy of the weights in main memory, on every process, and in the
    checkpoint files.

    last: how many are averaged (5 and 10 are usual); null averages none.
    every: optimizer steps from one to the next; null takes the weights at each validation (without one, of each epoch).
    """

    rules: ClassVar[dict[str, str]] = {
        "last is None or last >= 1": "the mean is one of at least one checkpoint",
        "every is None or every >= 1": "every counts optimizer steps",
        "last is None or 'moving_average' not in provided": "one average is kept: the moving one (callbacks.average.decay) or that of the "
        "last checkpoints (callbacks.average_last.last); set the other to null",
    }

    def __init__(self, last: int | None = None, every: int | None = None):
        self.off = last is None
        self.last, self.every = last or 1, every
        self.taken: list[dict[str, Tensor]] = []  # the weights to average, oldest first
        self.step = 0  # the newest one's
        self._live: dict[str, Tensor] | None = None  # while the module holds the mean

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage == "fit":
            check_weights_are_whole(trainer, "callbacks.average_last.last")

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.every is not None and trainer.global_step % self.every == 0:
            self._take(trainer, pl_module)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        if self.every is None:
            self._take(trainer, pl_module)
        if self.taken:
            self._live = weights(pl_module)
            pl_module.load_state_dict(self.mean())

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._live is not None:
            pl_module.load_state_dict(self._live)
            self._live = None

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.every is None and not trainer.enable_validation:
            self._take(trainer, pl_module)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The module holds the mean from here on; what is loaded into it for a measurement is one too."""
        if self.taken:
            pl_module.load_state_dict(self.mean())
            self.taken = []

    def _take(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.global_step > self.step:  # a step may end several micro-batches, and a resumed run begins where it has been
            self.taken = [*self.taken, weights(pl_module)][-self.last :]
            self.step = trainer.global_step

    def mean(self) -> dict[str, Tensor]:
        """Added in float64, so that it is the same whatever is added first; counts and the like are the newest."""
        mean = dict(self.taken[-1])
        for name, newest in mean.items():
            if newest.is_floating_point():
                total = torch.zeros_like(newest, dtype=torch.float64)
                for taken in self.taken:
                    total += taken[name]
                mean[name] = (total / len(self.taken)).to(newest.dtype)
        return mean

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        if self.taken:
            checkpoint[LIVE], checkpoint["state_dict"] = checkpoint["state_dict"], self.mean()

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn == "fit":
            load_live_weights(pl_module, checkpoint)

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "taken": self.taken}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.step, self.taken = state_dict["step"], state_dict["taken"][-self.last :]


def weights(module: pl.LightningModule) -> dict[str, Tensor]:
    """A copy in main memory."""
    return {name: value.detach().to("cpu", copy=True) for name, value in module.state_dict().items()}
