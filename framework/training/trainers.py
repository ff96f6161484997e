"""Lightning's trainer as a registered part, and atomic checkpoints."""

import math
import os
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from framework.registry import register
from framework.training.checkpoint_files import save
from framework.training.interruption import interruption
from framework.training.limits import Limits
from framework.training.loops import FitLoop
from framework.training.strategies import ShardedStrategy
from framework.training.surroundings import NoSignals, cluster_environment
from framework.utils.recording import stop_recording
from framework.weights.torch_files import read_checkpoint

# Set here: progress, summary, checkpoints and the sharding of rows are parts of this framework. The others would do nothing in a run, or
# forbid what each run has (`barebones`: its checkpoints and logs).
_FIXED = (
    *("enable_progress_bar", "enable_model_summary", "enable_checkpointing", "use_distributed_sampler"),
    *("barebones", "enable_autolog_hparams", "model_registry", "reload_dataloaders_every_n_epochs"),
)
_CONTEXT = ("callbacks", "logger", "plugins", "default_root_dir")
# Lightning's other strategies start processes themselves, or write checkpoints that are no files
_Strategy = Literal["auto", "ddp", "ddp_find_unused_parameters_true", "fsdp"]
_LIMITS = ("limit_val_batches", "limit_test_batches", "limit_predict_batches", "overfit_batches")
_AMOUNT = "a share of the batches (0.5; 1.0 = all) or a number of them (1, 2, ...)"
# What Lightning refuses of these is refused by type and rule, and of processes by `workflows/devices`
_RULED = (
    *("accelerator", "devices", "num_nodes", "precision", "max_epochs", "max_steps", "gradient_clip_val", "gradient_clip_algorithm"),
    *("accumulate_grad_batches", "val_check_interval", "limit_train_batches", "limit_val_batches", "limit_test_batches"),
    *("limit_predict_batches", "log_every_n_steps", "log_norms", "log_flops", "num_sanity_val_steps", "compile", "inference_mode"),
    *("detect_anomaly", "deterministic", "benchmark"),
)
_POSITIVE = "(count_or_share({0}) and {0} > 0)"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Atomic checkpoint files (Lightning loses the old file if TMPDIR is on another file system), loaded safely."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None) -> None:
        save(checkpoint, Path(path))

    def load_checkpoint(self, path: str | os.PathLike[str], map_location: Any = "cpu", weights_only: bool | None = None) -> dict[str, Any]:
        return read_checkpoint(Path(path), map_location or "cpu")


@register("trainer", "lightning", context=(*_CONTEXT, *_FIXED))
class LightningTrainer(pl.Trainer):
    """Trainer of PyTorch Lightning, with all its options. https://lightning.ai/docs/pytorch/stable/common/trainer.html

    Context arguments: callbacks, logger, plugins (lists), default_root_dir.

    strategy: ddp, or fsdp (FSDP2: sharded weights); auto = ddp where there are several processes. A model with parameters that some batches
        do not use needs ddp_find_unused_parameters_true.
    compile: compile the task with torch.compile.
    accelerator: auto, cpu, gpu, mps.
    devices: number of processes, or a list of devices.
    num_nodes: number of machines.
    precision: 32-true, bf16-mixed, 16-mixed, or another precision of Lightning; null = the faster of the first two.
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
    log_norms: log the norms of gradient, weights and update at these steps; the weights are copied for the update.
    log_flops: log the FLOP/s that training achieves, and where the device's most is known their share of it (model FLOPs utilization).
    limit_train_batches, limit_val_batches, limit_test_batches, limit_predict_batches: most batches, as a share or a number.
    overfit_batches: share or number of batches of the first epoch that every epoch repeats; 0 = off. As many are validated.
    fast_dev_run: number of batches for a test run of training, validation and test; true = 1.
    num_sanity_val_steps: validation batches before training starts.
    deterministic: use deterministic kernels only.
    benchmark: let cuDNN choose its fastest kernels.
    inference_mode: evaluate in torch.inference_mode instead of no_grad.
    detect_anomaly: stop at the operation with a NaN gradient; slow.
    profiler: simple, advanced or pytorch.
    sync_batchnorm: synchronize batch norm statistics between processes.
    """

    option_traits: ClassVar = {"ruled": _RULED}
    provides: ClassVar[dict[str, str]] = {
        "sharded_weights": "strategy == 'fsdp'",
        "weights_of_16_bits": "precision in ('bf16-true', '16-true')",
    }
    rules: ClassVar[dict[str, str]] = {
        "accelerator in ('auto', 'cpu') or device_possible(accelerator)": (
            "this machine has no such device; trainer.accelerator=auto takes what there is"
        ),
        "precision not in ('transformer-engine', 'transformer-engine-float16') or installed('transformer_engine')": (
            "this precision needs Transformer Engine: pip install transformer-engine[pytorch]"
        ),
        "precision not in (16, '16', '16-mixed') or accelerator != 'cpu' and device_possible('gpu')": (
            "float16 with float32 weights needs a GPU; take precision=bf16-mixed"
        ),
        "1 <= num_nodes <= 100_000": "num_nodes must be at least 1, and at most 100,000",
        "max_epochs is None or max_epochs == -1 or max_epochs >= 1": "max_epochs must be at least 1, or -1 for no limit",
        "max_steps == -1 or max_steps >= 1": "max_steps must be at least 1, or -1 for no limit",
        "max_time is None or seconds(max_time) > 0": "max_time must be a time DD:HH:MM:SS above 0, or {hours: 2} and the like",
        "min_epochs is None or min_epochs >= 0": "min_epochs must not be negative",
        "min_steps is None or min_steps >= 0": "min_steps must not be negative",
        "accumulate_grad_batches >= 1": "accumulate_grad_batches must be at least 1",
        "check_val_every_n_epoch is None or check_val_every_n_epoch >= 1": "check_val_every_n_epoch must be at least 1",
        f"val_check_interval is None or seconds(val_check_interval) > 0 or {_POSITIVE.format('val_check_interval')}": (
            f"val_check_interval must be {_AMOUNT} above 0, or a time DD:HH:MM:SS"
        ),
        f"limit_train_batches is None or {_POSITIVE.format('limit_train_batches')}": f"limit_train_batches must be {_AMOUNT} above 0",
        **{f"{name} is None or count_or_share({name})": f"{name} must be {_AMOUNT}" for name in _LIMITS},
        "fast_dev_run >= 0": "fast_dev_run must be a number of batches, or true for one",
        "num_sanity_val_steps is None or num_sanity_val_steps >= -1": "num_sanity_val_steps must not be negative; -1 = all batches",
        "log_every_n_steps is None or log_every_n_steps >= 0": "log_every_n_steps must not be negative",
        "gradient_clip_val is None or gradient_clip_val > 0": "gradient_clip_val must be positive; null = no clipping",
        "devices not in (0, '0', [])": "devices must be a number of processes of at least 1, or a list of devices",
    }

    def __init__(
        self,
        accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto",
        strategy: _Strategy = "auto",
        max_time: str | dict[str, int] | None = None,
        val_check_interval: int | float | str | dict[str, int] | None = None,
        gradient_clip_algorithm: Literal["norm", "value"] | None = None,
        profiler: Literal["simple", "advanced", "pytorch"] | None = None,
        compile: bool = False,
        overfit_batches: int | float = 0,
        log_norms: bool = True,
        log_flops: bool = True,
        **options: Any,
    ):
        options |= {"accelerator": accelerator, "max_time": max_time, "val_check_interval": val_check_interval}
        options |= {"gradient_clip_algorithm": gradient_clip_algorithm, "profiler": profiler}
        self.compile, self.log_norms, self.log_flops = compile, log_norms, log_flops
        minima = [options.get(name) or 0 for name in ("min_epochs", "min_steps")]
        self.ends_at_minima = any(minima) and options.get("max_epochs") is None and options.get("max_steps", -1) == -1
        if self.ends_at_minima:
            options["max_epochs"] = max(1, minima[0])  # `fit` raises it for min_steps, which takes the number of batches
        self.repeats = bool(overfit_batches)
        if self.repeats:  # Lightning would replace the sampler
            options |= dict.fromkeys(("limit_train_batches", "limit_val_batches"), overfit_batches)
        options["plugins"] = [*(options.get("plugins") or ()), AtomicCheckpointIO(), cluster_environment()]
        saved = any(isinstance(callback, Checkpoint) for callback in options.get("callbacks") or ())  # otherwise Lightning saves its own
        options |= dict.fromkeys(_FIXED, False) | {"enable_checkpointing": saved}
        super().__init__(strategy=ShardedStrategy() if strategy == "fsdp" else strategy, **options)
        self._signal_connector = NoSignals(self)
        self.fit_loop = FitLoop(self, self.fit_loop)

    def fit(self, model: pl.LightningModule, train_dataloaders: Any = None, *arguments: Any, **keywords: Any) -> None:
        """Lightning's fit. Interrupted: a signal came; with a checkpoint callback `last` has the state after its step."""
        Limits.of(self).check({"train": len(train_dataloaders)})
        if self.ends_at_minima and self.min_steps:
            steps = Limits.of(self).steps_of_epoch(len(train_dataloaders))
            self.fit_loop.max_epochs = max(self.fit_loop.max_epochs or 1, math.ceil(self.min_steps / steps))
        if self.repeats:
            train_dataloaders.repeat()
        if self.compile:
            if self.accumulate_grad_batches > 1:  # auxiliary losses then take a gradient of their own first
                torch._functorch.config.donated_buffer = False  # type: ignore[attr-defined]
            model.task.compile()  # type: ignore[operator, union-attr]  # in place, so weight names do not change
        self.precision_plugin.convert_module(model)  # Lightning loads a checkpoint first, and would round what it has in 64 bits
        try:
            with interruption.watched():
                super().fit(model, train_dataloaders, *arguments, **keywords)
        finally:
            stop_recording()
