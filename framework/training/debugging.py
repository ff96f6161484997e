"""What `debug=` adds to a run: learning one batch by heart, a table of where the time goes, the first module that gives no number."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile, schedule

from framework.errors import UserError
from framework.registry import register
from framework.tasks.base import Result
from framework.utils.files import write_text

_REGULARIZES = ("p", "dropout", "token_dropout", "label_smoothing")  # attributes that keep a model from learning by heart


@register("callback", "one_batch")
class OneBatch(Callback):
    """Trains on the first batch alone, over and over, without dropout and smoothing: wiring that can learn brings its loss near zero.

    Stops as soon as it is; a run that ends before that is refused with the loss it reached.

    enough: the share of the first loss that counts as near zero.
    """

    def __init__(self, enough: float = 0.05):
        self.enough, self.first, self.newest = enough, None, None  # type: tuple[float, float | None, float | None]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # The order of an epoch and what is drawn for its batches depend on its number: let it be the first for ever.
        trainer.train_dataloader.sampler.set_epoch = lambda epoch: None  # type: ignore[union-attr]
        for module in pl_module.modules():
            for name in _REGULARIZES:
                if isinstance(module.__dict__.get(name), float):
                    setattr(module, name, 0.0)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (loss := pl_module.figures.get("train/loss")) is None:  # type: ignore[union-attr,operator]
            return  # the learner logs after its callbacks are asked
        self.newest = float(loss)
        self.first = self.newest if self.first is None else self.first
        trainer.should_stop = trainer.should_stop or self.newest < self.enough * self.first

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.first is None or self.newest is None:
            return
        went = f"the loss of one batch went from {self.first:.4g} to {self.newest:.4g} in {trainer.global_step} steps"
        if not self.newest < self.enough * self.first:
            raise UserError(f"{went}: not near zero. Either the wiring cannot learn, or it takes more trainer.max_steps or optimizer.lr.")
        if trainer.is_global_zero:
            print(f"{went}: the wiring can learn.", flush=True)


@register("callback", "profile")
class ProfileReport(Callback):
    """Where the time of a training step goes: a table of operations in profile.txt of the run's folder, its head on the terminal.

    skip: steps before the first that is looked at; they are slower than the rest.
    steps: that are looked at.
    """

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
        if self._profile is None:
            return
        self._profile.stop()
        averages, self._profile = self._profile.key_averages(), None
        if not trainer.is_global_zero:
            return
        order = "self_device_time_total" if pl_module.device.type == "cuda" else "self_cpu_time_total"
        write_text(self.file, averages.table(sort_by=order, row_limit=100, max_name_column_width=60) + "\n")
        print(short_table(averages, order, self.steps), f"The whole table: {self.file}", sep="\n", flush=True)


def short_table(averages: Any, order: str, steps: int, rows: int = 15) -> str:
    """The operations that take the most of a step's time by themselves."""
    total = sum(getattr(each, order) for each in averages) or 1
    most = sorted(averages, key=lambda each: getattr(each, order), reverse=True)[:rows]
    lines = [f"{'operation':<60}{'share':>7}{'ms a step':>11}{'calls a step':>14}"]
    for each in most:
        own = getattr(each, order)
        lines.append(f"{each.key[:58]:<60}{own / total:>7.1%}{own / 1000 / steps:>11.2f}{each.count / steps:>14.0f}")
    return "\n".join([f"Of {total / 1000 / steps:.1f} ms a step:", *lines])


@register("callback", "finite")
class FiniteCheck(Callback):
    """Looks at what every module gives, and at the gradients that come back to it: stops at the first infinity, or what is no number.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.module.register_module_forward_hook.html
    """

    def __init__(self) -> None:
        self._hooks: list[Any] = []
        self._where = "step 1"

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        scaled = str(trainer.precision).startswith("16")  # a gradient scaled for half precision overflows now and then, and is left out
        for name, module in pl_module.named_modules():
            if name:
                self._hooks.append(module.register_forward_hook(self._look(f"{name} ({type(module).__name__})", not scaled)))

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        self._where = f"step {trainer.global_step + 1}"
        for name, parameter in pl_module.named_parameters():
            if not parameter.isfinite().all():
                raise UserError(f"before {self._where} the weights of {name} hold {_what(parameter)}: the step before was too large.")

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._where = f"validation after step {trainer.global_step}"

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def _look(self, name: str, backward: bool) -> Any:
        def look(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            for tensor in _floats(output):
                if not tensor.isfinite().all():
                    largest = max((float(each.detach().abs().max()) for each in _floats(inputs) if each.numel()), default=None)
                    given = "" if largest is None else f"; what went in reached {largest:.3g}"
                    raise UserError(f"{self._where}: {name} gave {_what(tensor)}{given}. It is the first module that does.")
                if backward and tensor.requires_grad:
                    tensor.register_hook(lambda gradient: self._look_back(name, gradient))

        return look

    def _look_back(self, name: str, gradient: Tensor) -> None:
        if not gradient.isfinite().all():
            raise UserError(f"{self._where}: going back from the loss, the gradient at {name} is the first with {_what(gradient)}.")


def _floats(value: Any) -> Iterator[Tensor]:
    """The tensors of real numbers in what a module takes or gives."""
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
