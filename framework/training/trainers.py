"""Lightning's trainer as a registered part, and atomic checkpoints."""

import math
import os
from pathlib import Path
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.trainer.connectors.signal_connector import _SignalConnector

from framework.errors import UserError
from framework.registry import register
from framework.training.interruption import interruption
from framework.training.loops import FitLoop
from framework.training.strategies import ShardedStrategy
from framework.utils.files import replacing
from framework.utils.recording import stop_recording
from framework.weights.torch_files import read_checkpoint

# set here: progress, summary, checkpoints, the sharding of rows and their measurement are parts of this framework
_FIXED = ("enable_progress_bar", "enable_model_summary", "enable_checkpointing", "use_distributed_sampler", "barebones")
_CONTEXT = ("callbacks", "logger", "plugins", "default_root_dir")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Atomic checkpoint files (Lightning loses the old file if TMPDIR is on another file system), loaded safely."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None) -> None:
        with replacing(Path(path)) as file:
            torch.save(checkpoint, file)

    def load_checkpoint(self, path: str | os.PathLike[str], map_location: Any = "cpu", weights_only: bool | None = None) -> dict[str, Any]:
        return read_checkpoint(Path(path), map_location or "cpu")


class _NoSignals(_SignalConnector):
    """Leaves signals to `interruption`: Lightning's own handlers broadcast within a handler, save files of their own, and requeue."""

    def register_signal_handlers(self) -> None:
        pass


@register("trainer", "lightning", context=(*_CONTEXT, *_FIXED))
class LightningTrainer(pl.Trainer):
    """Trainer of PyTorch Lightning, with all its options. https://lightning.ai/docs/pytorch/stable/common/trainer.html

    Context arguments: callbacks, logger, plugins (lists), default_root_dir.

    strategy: auto, ddp, fsdp (FSDP2: sharded weights), or another strategy of Lightning.
    compile: compile the task with torch.compile.
    accelerator: auto, cpu, gpu, mps.
    devices: number of processes, or a list of devices.
    num_nodes: number of machines.
    precision: 32-true, bf16-mixed, 16-mixed, or another precision of Lightning.
    max_epochs: most epochs; -1 = no limit; null = the epoch that reaches both min_epochs and min_steps is the last.
    max_steps: most optimizer steps; -1 = no limit.
    min_epochs, min_steps: least epochs and optimizer steps.
    max_time: time limit, DD:HH:MM:SS.
    gradient_clip_val: largest norm of the gradient; null = no clipping.
    gradient_clip_algorithm: norm, or value to clip each component.
    accumulate_grad_batches: batches for one optimizer step.
    val_check_interval: share of an epoch, or number of batches, between validations; they wait for the end of an accumulated step.
    check_val_every_n_epoch: epochs between validations.
    log_every_n_steps: optimizer steps between logs of training metrics.
    limit_train_batches, limit_val_batches, limit_test_batches, limit_predict_batches: most batches, as a share or a number.
    overfit_batches: share or number of batches of the first epoch that every epoch repeats; 0 = off. As many are validated.
    fast_dev_run: number of batches for a test run of training, validation and test; true = 1.
    num_sanity_val_steps: validation batches before training starts.
    reload_dataloaders_every_n_epochs: epochs after which data loaders are rebuilt.
    deterministic: use deterministic kernels only.
    benchmark: let cuDNN choose its fastest kernels.
    inference_mode: evaluate in torch.inference_mode instead of no_grad.
    detect_anomaly: stop at the operation with a NaN gradient; slow.
    profiler: simple, advanced or pytorch.
    sync_batchnorm: synchronize batch norm statistics between processes.
    enable_autolog_hparams: log hyper-parameters at the start.
    model_registry: name of the model in Lightning's registry.
    """

    rules: ClassVar[dict[str, str]] = {
        "max_epochs is None or max_epochs == -1 or max_epochs >= 1": "max_epochs must be at least 1, or -1 for no limit",
        "max_steps == -1 or max_steps >= 1": "max_steps must be at least 1, or -1 for no limit",
        "accumulate_grad_batches >= 1": "accumulate_grad_batches must be at least 1",
        "val_check_interval is None or val_check_interval > 0": "val_check_interval must be a share of an epoch, or a number of batches",
        "limit_train_batches is None or limit_train_batches > 0": "limit_train_batches must be a share above 0, or a number of batches",
        "log_every_n_steps is None or log_every_n_steps >= 0": "log_every_n_steps must not be negative",
        "devices not in (0, '0', [])": "devices must be a number of processes of at least 1, or a list of devices",
    }

    def __init__(self, strategy: Any = "auto", compile: bool = False, overfit_batches: int | float = 0, **options: Any):
        self.compile = compile
        minima = [options.get(name) or 0 for name in ("min_epochs", "min_steps")]
        self.ends_at_minima = any(minima) and options.get("max_epochs") is None and options.get("max_steps", -1) == -1
        if self.ends_at_minima:
            options["max_epochs"] = max(1, minima[0])  # `fit` raises it for min_steps, which takes the number of batches
        self.repeats = bool(overfit_batches)
        if self.repeats:  # Lightning would replace the sampler
            options |= dict.fromkeys(("limit_train_batches", "limit_val_batches"), overfit_batches)
        options["plugins"] = [*(options.get("plugins") or ()), AtomicCheckpointIO()]
        saved = any(isinstance(callback, Checkpoint) for callback in options.get("callbacks") or ())  # otherwise Lightning saves its own
        options |= dict.fromkeys(_FIXED, False) | {"enable_checkpointing": saved}
        super().__init__(strategy=ShardedStrategy() if strategy == "fsdp" else strategy, **options)
        self._signal_connector = _NoSignals(self)
        self.fit_loop = FitLoop(self, self.fit_loop)

    def fit(self, model: pl.LightningModule, train_dataloaders: Any = None, *arguments: Any, **keywords: Any) -> None:
        """Lightning's fit. Interrupted: a signal came; with a checkpoint callback `last` has the state after its step."""
        batches = self._batches(train_dataloaders)
        if self.ends_at_minima and self.min_steps:
            steps = max(1, math.ceil(batches / self.accumulate_grad_batches))
            self.fit_loop.max_epochs = max(self.fit_loop.max_epochs or 1, math.ceil(self.min_steps / steps))
        interval = self.val_check_interval
        if isinstance(interval, int) and interval > batches and self.check_val_every_n_epoch is not None and self.limit_val_batches:
            raise UserError(
                f"trainer.val_check_interval={interval}: an epoch has {batches} batches. Set at most {batches}, or "
                "trainer.check_val_every_n_epoch=null, which counts batches from epoch to epoch."
            )
        if self.repeats:
            train_dataloaders.repeat()
        if self.compile:
            if self.accumulate_grad_batches > 1:  # auxiliary losses then take a gradient of their own first
                torch._functorch.config.donated_buffer = False  # type: ignore[attr-defined]
            model.task.compile()  # type: ignore[operator, union-attr]  # in place, so weight names do not change
        try:
            with interruption.watched():
                super().fit(model, train_dataloaders, *arguments, **keywords)
        finally:
            stop_recording()

    def _batches(self, loader: Any) -> int:
        """Training batches of an epoch."""
        limit = self.limit_train_batches
        return min(len(loader), limit) if isinstance(limit, int) else int(len(loader) * limit)
