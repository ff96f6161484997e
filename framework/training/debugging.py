"""Callbacks of `debug=`: overfitting one batch, profiling, and finding the first module with an infinite or NaN output."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile, schedule

from framework.errors import UserError
from framework.registry import register
from framework.tasks.base import Result
from framework.utils.files import write_text

_REGULARIZERS = ("p", "dropout", "token_dropout", "label_smoothing")  # attributes of modules, set to 0 for overfitting


@register("callback", "one_batch")
class OneBatch(Callback):
    """Overfits the first batch, without dropout and label smoothing: a correctly wired model brings its loss near zero.

    Stops as soon as the loss is near zero; a run that ends before is an error.

    enough: share of the first loss that counts as near zero.
    """

    option_traits: ClassVar = {"ruled": ("enough",)}
    rules: ClassVar[dict[str, str]] = {"0 < enough < 1": "enough must be in (0, 1), a share of the first loss"}

    def __init__(self, enough: float = 0.05):
        self.enough, self.first, self.newest = enough, None, None  # type: tuple[float, float | None, float | None]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.train_dataloader.repeat()  # type: ignore[union-attr]
        for module in pl_module.modules():
            for name in _REGULARIZERS:
                if isinstance(module.__dict__.get(name), float):
                    setattr(module, name, 0.0)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (loss := pl_module.logged_metrics.get("train/loss")) is None:  # type: ignore[union-attr,operator]
            return  # the learner logs after its callbacks
        self.newest = float(loss)
        self.first = self.newest if self.first is None else self.first
        trainer.should_stop = trainer.should_stop or self.newest < self.enough * self.first

    def state_dict(self) -> dict[str, Any]:
        return {"first": self.first, "newest": self.newest}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.first, self.newest = state_dict["first"], state_dict["newest"]

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.first is None or self.newest is None:
            return
        change = f"the loss of one batch went from {self.first:.4g} to {self.newest:.4g} in {trainer.global_step} steps"
        if not self.newest < self.enough * self.first:
            raise UserError(f"{change}: not near zero. Check the wiring of the model, or raise trainer.max_steps or optimizer.lr.")
        if trainer.is_global_zero:
            print(f"{change}: the model can learn.", flush=True)


@register("callback", "profile")
class ProfileReport(Callback):
    """Profiles training steps: a table of operations in profile.txt of the run's folder, its first rows on the terminal.

    skip: steps before the profiled ones; the first steps are slower.
    steps: number of profiled steps.
    """

    option_traits: ClassVar = {"ruled": ("skip", "steps")}
    rules: ClassVar[dict[str, str]] = {"skip >= 0 and steps >= 1": "skip must not be negative, and steps at least 1"}

    def __init__(self, folder: Path, skip: int = 3, steps: int = 5):
        self.file, self.skip, self.steps = Path(folder) / "profile.txt", skip, steps
        self._profile: profile | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        cuda = [ProfilerActivity.CUDA] if pl_module.device.type == "cuda" else []
        plan = schedule(wait=max(0, self.skip - 1), warmup=1, active=self.steps, repeat=1)
        self._profile = profile(activities=[ProfilerActivity.CPU, *cuda], schedule=plan, record_shapes=False)
        self._profile.start()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self._profile is not None:
            self._profile.step()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._profile is None or not self._profile.step_num:  # a resumed run that was over
            return
        self._profile.stop()
        averages, self._profile = self._profile.key_averages(), None
        if not trainer.is_global_zero:
            return
        order = "self_device_time_total" if pl_module.device.type == "cuda" else "self_cpu_time_total"
        write_text(self.file, averages.table(sort_by=order, row_limit=100, max_name_column_width=60) + "\n")
        print(short_table(averages, order, self.steps), f"The whole table: {self.file}", sep="\n", flush=True)


def short_table(averages: Any, order: str, steps: int, rows: int = 15) -> str:
    """The operations with the most time of their own in a step."""
    total = sum(getattr(each, order) for each in averages) or 1
    most = sorted(averages, key=lambda each: getattr(each, order), reverse=True)[:rows]
    lines = [f"{'operation':<60}{'share':>7}{'ms a step':>11}{'calls a step':>14}"]
    for each in most:
        time = getattr(each, order)
        lines.append(f"{each.key[:58]:<60}{time / total:>7.1%}{time / 1000 / steps:>11.2f}{each.count / steps:>14.0f}")
    return "\n".join([f"Of {total / 1000 / steps:.1f} ms a step:", *lines])


@register("callback", "finite")
class FiniteCheck(Callback):
    """Checks the outputs and the gradients of every module, and stops at the first infinite or NaN value.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.module.register_module_forward_hook.html
    """

    def __init__(self) -> None:
        self._hooks: list[Any] = []
        self._where = "step 1"

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        scaled = str(trainer.precision).startswith("16")  # gradients scaled for float16 may overflow
        for name, module in pl_module.named_modules():
            if name:
                self._hooks.append(module.register_forward_hook(self._check(f"{name} ({type(module).__name__})", not scaled)))

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        self._where = f"step {trainer.global_step + 1}"
        for name, parameter in pl_module.named_parameters():
            if not parameter.isfinite().all():
                raise UserError(f"before {self._where} the weights of {name} have {_what(parameter)}: the previous step was too large.")

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._where = f"validation after step {trainer.global_step}"

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def _check(self, name: str, backward: bool) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            for tensor in _floats(output):
                if not tensor.isfinite().all():
                    largest = max((float(each.detach().abs().max()) for each in _floats(inputs) if each.numel()), default=None)
                    inputs_reach = "" if largest is None else f"; its inputs reach {largest:.3g}"
                    raise UserError(f"{self._where}: the output of {name}, the first such module, has {_what(tensor)}{inputs_reach}")
                if backward and tensor.requires_grad:
                    tensor.register_hook(lambda gradient: self._check_gradient(name, gradient))

        return hook

    def _check_gradient(self, name: str, gradient: Tensor) -> None:
        if not gradient.isfinite().all():
            raise UserError(f"{self._where}: the gradient at {name}, the first in the backward pass, has {_what(gradient)}")


def _floats(value: Any) -> Iterator[Tensor]:
    """The floating-point tensors in the inputs or outputs of a module."""
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _floats(item)
    elif isinstance(value, dict):
        yield from _floats(list(value.values()))
    elif isinstance(value, Result):
        yield from _floats((value.loss, value.weight))


def _what(tensor: Tensor) -> str:
    """`3 of 512 values that are not a number`."""
    nan, wrong = int(tensor.isnan().sum()), int((~tensor.isfinite()).sum())
    return f"{wrong} of {tensor.numel():,} values that are {'not a number' if nan else 'infinite'}"
