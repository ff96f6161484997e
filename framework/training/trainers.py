"""Lightning's trainer under our names, and checkpoints that are whole or not there."""

import inspect
import math
import os
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.trainer.states import TrainerStatus

from framework.registry import register
from framework.training.strategies import lightning_strategy
from framework.utils.files import replacing
from framework.weights.torch_files import read_checkpoint

# What nobody may set: the bar, the card, the checkpoints and the dealing of rows to ranks are ours.
_DECIDED = ("enable_progress_bar", "enable_model_summary", "enable_checkpointing", "use_distributed_sampler")
_OFFERED = ("callbacks", "logger", "plugins", "default_root_dir")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints written beside their target, synced and renamed (Lightning's own loses the old file where TMPDIR is elsewhere),
    and read with distrust."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None) -> None:
        with replacing(Path(path)) as file:
            torch.save(checkpoint, file)

    def load_checkpoint(self, path: str | os.PathLike[str], map_location: Any = "cpu", weights_only: bool | None = None) -> dict[str, Any]:
        return read_checkpoint(Path(path), map_location or "cpu")


def options_of(parent: Callable[..., Any], without: typing.Iterable[str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Shows a constructor that passes `**options` on with the parameters of the one it passes them to: no copied list drifts."""

    def show(constructor: Callable[..., None]) -> Callable[..., None]:
        own = [p for p in inspect.signature(constructor).parameters.values() if p.kind is not p.VAR_KEYWORD]
        taken = {*without, *(parameter.name for parameter in own)}
        inherited = [parameter for parameter in inspect.signature(parent).parameters.values() if parameter.name not in taken]
        constructor.__signature__ = inspect.Signature([*own, *inherited])  # type: ignore[attr-defined]
        hints = typing.get_type_hints(parent)
        constructor.__annotations__ |= {parameter.name: hints[parameter.name] for parameter in inherited if parameter.name in hints}
        return constructor

    return show


@register("trainer", "lightning", given=_OFFERED)
class LightningTrainer(pl.Trainer):
    """PyTorch Lightning's Trainer, with all its options. https://lightning.ai/docs/pytorch/stable/common/trainer.html

    An owner offers: callbacks, logger, plugins (lists), default_root_dir.

    strategy: auto, ddp, fsdp (FSDP2: weights spread over the processes), or another of Lightning's.
    compile: compile the task with torch.compile.
    accelerator: auto, cpu, gpu, mps.
    devices: how many processes, or which devices.
    num_nodes: machines.
    precision: 32-true, bf16-mixed, 16-mixed, or another of Lightning's.
    max_epochs: passes over the training rows; -1 is no limit; null ends with the epoch that reaches both min_epochs and min_steps.
    max_steps: optimizer steps; -1 is no limit.
    min_epochs, min_steps: training goes on for at least so many.
    max_time: stops after DD:HH:MM:SS.
    gradient_clip_val: largest norm of the gradient; null does not clip.
    gradient_clip_algorithm: norm, or value for each component by itself.
    accumulate_grad_batches: batches to one optimizer step.
    val_check_interval: how often to validate: a share of an epoch, or a number of batches.
    check_val_every_n_epoch: how often to validate, in epochs.
    log_every_n_steps: how often the training figures are logged, in optimizer steps.
    limit_train_batches, limit_val_batches, limit_test_batches, limit_predict_batches: at most this share or number of batches.
    overfit_batches: trains and validates on this share or number of batches, the same ones.
    fast_dev_run: one batch of everything, or this many, to see that the code runs.
    num_sanity_val_steps: validation batches before training starts.
    reload_dataloaders_every_n_epochs: asks for the loaders again after so many epochs.
    deterministic: only kernels that give the same result every time.
    benchmark: cuDNN tries its kernels and keeps the fastest.
    inference_mode: evaluates under torch.inference_mode rather than no_grad.
    detect_anomaly: stops at the operation whose gradient is no number; slow.
    profiler: simple, advanced or pytorch: where the time goes.
    barebones: leaves out everything that costs time; to measure Lightning's own.
    sync_batchnorm: batch norms share their statistics between processes.
    enable_autolog_hparams: logs hyper-parameters at the start.
    model_registry: name under which Lightning's registry keeps the model.
    """

    @options_of(pl.Trainer.__init__, without=("self", *_DECIDED))
    def __init__(self, strategy: Any = "auto", compile: bool = False, **options: Any):
        self.compile = compile
        minima = [options.get(name) or 0 for name in ("min_epochs", "min_steps")]
        self.ends_at_minima = any(minima) and options.get("max_epochs") is None and options.get("max_steps", -1) == -1
        if self.ends_at_minima:
            options["max_epochs"] = max(1, minima[0])  # `fit` raises it for min_steps, which takes the number of batches
        options["plugins"] = [*(options.get("plugins") or ()), AtomicCheckpointIO()]
        saved = any(isinstance(callback, Checkpoint) for callback in options.get("callbacks") or ())  # else Lightning saves on its own
        options |= dict.fromkeys(_DECIDED, False) | {"enable_checkpointing": saved}
        super().__init__(strategy=lightning_strategy(strategy), **options)

    def fit(self, model: pl.LightningModule, train_dataloaders: Any = None, *arguments: Any, **keywords: Any) -> None:
        """Lightning's fit; Ctrl-C reaches the caller as what it is (Lightning would leave with exit code 1)."""
        if self.ends_at_minima and self.min_steps:
            limit = self.limit_train_batches
            batches = min(len(train_dataloaders), limit) if isinstance(limit, int) else int(len(train_dataloaders) * limit)
            steps = max(1, math.ceil(batches / self.accumulate_grad_batches))
            self.fit_loop.max_epochs = max(self.fit_loop.max_epochs or 1, math.ceil(self.min_steps / steps))
        if self.compile:
            model.task.compile()  # type: ignore[operator, union-attr]  # in place: the names of the weights stay
        try:
            super().fit(model, train_dataloaders, *arguments, **keywords)
        except SystemExit:
            if self.state.status == TrainerStatus.INTERRUPTED:
                raise KeyboardInterrupt from None
            raise
