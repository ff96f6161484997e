"""Progress of training: a bar on a terminal, plain lines elsewhere."""

import contextlib
import sys
import time
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from framework.registry import register
from framework.utils.phases import Phase, clock, phase

_REDRAW = 0.2  # seconds


@register("callback", "progress")
class ProgressReport(Callback):
    """Shows step, loss, tokens per second and the monitored metric.

    style: bar, lines (about twenty a run and one for each validation), off, or auto (a bar on a terminal, lines elsewhere).
    """

    option_traits: ClassVar = {"ruled": ("style",)}

    def __init__(self, monitor: str, style: Literal["auto", "bar", "lines", "off"] = "auto"):
        self.monitor = monitor
        self.style = ("bar" if sys.__stdout__ and sys.__stdout__.isatty() else "lines") if style == "auto" else style
        self.off = style == "off"
        self._progress: Progress | None = None
        self._drawn = 0.0
        self._printed = 0  # step of the last line
        self._evaluating = contextlib.ExitStack()
        self._evaluated: Phase | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.total, self._printed = trainer.estimated_stepping_batches, trainer.global_step
        self._start, self._first = time.monotonic(), trainer.global_step
        if self.style == "bar" and trainer.is_global_zero:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
            self._progress = Progress(
                *columns, TextColumn("{task.fields[metrics]}"), console=Console(file=sys.__stdout__), auto_refresh=False
            )
            self._bar = self._progress.add_task("training", total=self.total, completed=trainer.global_step, metrics="")
            self._progress.start()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        due = (
            time.monotonic() - self._drawn > _REDRAW
            if self._progress is not None
            else trainer.global_step - self._printed >= self.total / 20
        )
        if due:
            self._show(trainer, pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._begin("validation", trainer.num_val_batches)

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._begin("test", trainer.num_test_batches)

    def _begin(self, split: str, batches: Sequence[int | float]) -> None:
        if not self.off:
            self._evaluated = self._evaluating.enter_context(phase(f"evaluating {split}", int(sum(batches)), "batches"))

    def on_validation_batch_end(self, *_: Any, **__: Any) -> None:
        if self._evaluated is not None:
            self._evaluated.done += 1

    on_test_batch_end = on_validation_batch_end

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._evaluating.close()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._evaluating.close()
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._show(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._progress is not None:
            self._show(trainer, pl_module)
        self._stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._stop()

    def _stop(self) -> None:
        self._evaluating.close()
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _show(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Redraws the bar, or prints a line; on the first rank alone."""
        if self._progress is not None:
            self._progress.update(self._bar, completed=trainer.global_step, metrics=self._metrics(pl_module))
            self._progress.refresh()
            self._drawn = time.monotonic()
        elif self.style == "lines" and trainer.is_global_zero:
            shown = (f"step {trainer.global_step}/{self.total}", self._metrics(pl_module), self._time(trainer.global_step))
            print("  ".join(filter(None, shown)), flush=True)
            self._printed = trainer.global_step

    def _time(self, step: int) -> str:
        """Time since training started, and what is left at the rate so far."""
        seconds, steps = time.monotonic() - self._start, step - self._first
        left = f", {clock(seconds / steps * (self.total - step))} left" if steps and step < self.total else ""
        return f"{clock(seconds)}{left}"

    def _metrics(self, pl_module: pl.LightningModule) -> str:
        logged = getattr(pl_module, "logged_metrics", {})
        names = ("train/loss", "train/tokens_per_second", "validation/loss", self.monitor)
        shown = {name: logged[name] for name in names if name in logged}
        return "  ".join(f"{name.removeprefix('train/').replace('_per_second', '/s')} {value:.4g}" for name, value in shown.items())
