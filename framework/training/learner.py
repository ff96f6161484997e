"""Learner: the LightningModule that trains and evaluates a task."""

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from framework.data.formats import Batch
from framework.errors import UserError
from framework.generation.engine import Decode
from framework.tasks.base import Result, Task
from framework.tracking.base import Tracker
from framework.training.averaging import LIVE
from framework.training.calibration import Calibration
from framework.training.costs import FlopCount, forward_uncompiled, peak_flops, peak_memory
from framework.training.distillation import Distillation
from framework.training.evaluation import Evaluation
from framework.training.figures import FigureLog
from framework.training.global_mean import MAIN, GlobalMean
from framework.training.host_copy import HostCopy
from framework.training.norms import StepNorms
from framework.training.strategies import gather, scatter, shard
from framework.training.throughput import ThroughputMonitor
from framework.utils.recording import add_loss, expect_losses, nothing_recorded, record_figures, recorded_losses

_TRAINING = ("trainer", "callbacks", "optimizer", "schedule")  # keys of the config that say how long a run trains, and how


class Diverged(UserError):
    """The loss became infinite or NaN; the run stopped before saving such weights."""

    outcome = "diverged"


class Learner(pl.LightningModule):
    """Trains and evaluates a task.

    A task returns the loss of a batch, summed over its targets, and their number, the weight; parts may add others (`add_loss`). A step
    follows the sum over the global batch divided by the weight of the global batch (`GlobalMean`).

    optimizer: called with model=task. schedule: called with total=steps. config: plain values, saved in each checkpoint.
    decode, test_decode: generators for validation (a sample of the rows) and test (all rows).
    folder: folder of the run, for predictions.jsonl. predictions: the split whose rows it gets, when training has ended.
    seed: seed of dropout. distillation: loss with a teacher, which is no submodule.
    """

    task: Task

    def __init__(
        self,
        task: Task,
        optimizer: Callable[..., Optimizer],
        schedule: Callable[..., Callable[[int], float]],
        config: Mapping[str, Any] | None = None,
        decode: Decode | None = None,
        test_decode: Decode | None = None,
        folder: Path | None = None,
        seed: int = 0,
        distillation: Distillation | None = None,
        predictions: Literal["validation", "test"] = "test",
    ):
        super().__init__()
        self.save_hyperparameters({"config": dict(config or {})}, logger=False)
        self.task, self.make_optimizer, self.make_schedule = task, optimizer, schedule
        self.decodes, self.folder, self.seed = {"validation": decode, "test": test_decode}, folder, seed
        self.distillation, self.predictions = distillation, predictions
        self.logged_metrics: dict[str, float] = {}  # newest values, in full precision
        self.predicted_rows: list[dict[str, Any]] = []  # of predictions.jsonl, on rank zero, when they are written
        self.reports: list[str] = []  # names of the task's files beside it
        self.trained_tokens = 0  # without padding, at the end of training
        self._figures: FigureLog | None = None  # in training
        self.calibration: Calibration | None = None  # while the validation rows are passed through once more, to fit it
        self._pending: tuple[int, list[str], HostCopy] | None = None  # step, names and values of its losses, to be checked
        self._resumed: dict[str, Any] = {}  # the learner's own state in the checkpoint that the run goes on from

    def setup(self, stage: str) -> None:
        if stage == "fit":
            self._figures = FigureLog(self.trainer)
            record_figures(self._figures)

    def configure_model(self) -> None:
        if self._device_mesh is not None:
            shard(self.task, self._device_mesh["data_parallel"])

    def configure_optimizers(self) -> Any:
        optimizer = self.make_optimizer(model=self.task)
        self._values = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
        # The schedule is made in on_train_start: asking for the number of steps here would set up the data loader, and one set up
        # before the checkpoint is loaded starts its epoch anew. (A plain function, because LambdaLR saves the attributes of a
        # callable object and would restore them over changed options.)
        self._factor: Callable[[int], float] = lambda step: 1.0
        scheduler = LambdaLR(optimizer, lambda step: self._factor(step))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Lightning's copy, without waiting where memory is pinned. It would walk through the numbers and rows of `@rows`."""
        values = {name: value for name, value in batch.items() if name != "@rows"}
        return {**super().transfer_batch_to_device(values, device, dataloader_idx), "@rows": batch["@rows"]}

    # -- training --------------------------------------------------------------------------------------------------------

    def on_train_start(self) -> None:
        self._mean = GlobalMean(self.trainer, self.task.parameters())
        self._throughput = ThroughputMonitor(self.device)
        self._norms = StepNorms(self.trainer)
        if self._resumed:
            self._throughput.load_state_dict(self._resumed["throughput"], counts=self.trainer.is_global_zero)
            self.logged_metrics |= self._resumed["metrics"]
        self._factor = self.make_schedule(total=self.trainer.estimated_stepping_batches)
        self._apply_options()
        for tracker in self._trackers():
            tracker.go_on_from(self.trainer.global_step)

    def _apply_options(self) -> None:
        """Override the options of a resumed optimizer by those of this run's config."""
        scheduler = cast(LambdaLR, self.lr_schedulers())
        scheduler.base_lrs = [values["lr"] for values in self._values]
        for group, values in zip(self.trainer.optimizers[0].param_groups, self._values, strict=True):
            group.update(values, initial_lr=values["lr"], lr=values["lr"] * self._factor(scheduler.last_epoch))

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        self._seed_dropout(batch_index)
        with recorded_losses() as auxiliary:
            result = self._forward(batch)
            if self.distillation is not None:
                result = self.distillation(self.task, batch, result)
            for name, (loss, weight) in result.losses.items():
                add_loss(name, loss, weight)
        losses = {MAIN: (result.loss, result.weight.detach().to(result.loss)), **auxiliary}
        if batch["@rows"].dummy:  # this rank has no row left and only keeps in step
            losses = {name: (loss * 0, weight * 0) for name, (loss, weight) in losses.items()}
        self._throughput.count_tokens(batch)
        with nothing_recorded():  # a gradient of its own recomputes checkpointed layers
            return self._mean(losses)

    def _forward(self, batch: Batch) -> Result:
        """The result of the task. The first time its FLOPs are counted, those of a token from then on."""
        tokens = batch["@rows"].tokens
        if self._throughput.flops is not None or not getattr(self.trainer, "log_flops", False) or batch["@rows"].dummy or not tokens:
            return cast(Result, self.task(batch))
        compiled = self.task._compiled_call_impl is not None  # operations of a compiled call cannot be counted
        with FlopCount() as count:
            result = forward_uncompiled(self.task, batch) if compiled else self.task(batch)
        self._throughput.flops = count.training(self.task) / tokens
        if peak := peak_flops(self.device, self.trainer.precision):
            self._throughput.peak = self.trainer.world_size * peak
        return cast(Result, self.task(batch) if compiled else result)

    def on_before_backward(self, loss: Tensor) -> None:
        record_figures(None)  # layers that are recomputed would count twice

    def on_after_backward(self) -> None:
        record_figures(self._figures)

    def _seed_dropout(self, batch_index: int) -> None:
        """Seed dropout by (seed, epoch, batch, rank), so that a resumed run draws the same as an uninterrupted one."""
        place = f"{self.seed} {self.current_epoch} {batch_index} {self.global_rank}"
        seed = int.from_bytes(hashlib.blake2b(place.encode(), digest_size=7).digest(), "big")
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed all other kinds of devices
        if self.device.type != "cpu":
            torch.get_device_module(self.device).manual_seed(seed)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        totals = self._mean.scale_gradients(parameters)
        if getattr(self.trainer, "log_norms", False) and self._is_logged(self.trainer.global_step + 1):
            self._norms.before(parameters)
        self._throughput.add_losses(totals)
        if self.device.type != "cpu":
            self._check_loss()  # of the previous step; this one's would be waited for
        losses = HostCopy(torch.stack([total[0] for total in totals.values()]))
        self._pending = (self.trainer.global_step + 1, list(totals), losses)
        if self.device.type == "cpu":
            self._check_loss()

    def _check_loss(self) -> None:
        if self._pending is not None:
            (step, names, losses), self._pending = self._pending, None
            for name, loss in zip(names, losses.read(), strict=True):
                if not math.isfinite(loss):
                    raise Diverged(self._advice(f"the loss{'' if name == MAIN else f' {name!r}'} became {loss} at step {step}"))

    def _advice(self, what: str) -> str:
        trainer = self.trainer
        lr, clip = self._top_rate(), trainer.gradient_clip_val
        return (
            f"Training stopped: {what}. These weights were not saved.\n"
            f"The learning rate was {lr:.3g}, trainer.gradient_clip_val={clip}, trainer.precision={trainer.precision}.\n"
            "Try a lower optimizer.lr, a longer schedule.warmup, trainer.gradient_clip_val=1.0 or trainer.precision=32-true."
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._check_loss()
        self._log_figures()  # figures of steps that a resumed run does not see again
        live = checkpoint.get(LIVE, {})  # if state_dict has averaged weights
        values = [*checkpoint["state_dict"].items(), *live.items()]
        broken = [name for name, value in values if value.is_floating_point() and not value.isfinite().all()]
        if broken:
            raise Diverged(self._advice(f"{broken[0]} has infinite or NaN values at step {self.trainer.global_step}"))
        checkpoint["learner"] = {"throughput": self._throughput.state_dict(self.trainer.strategy), "metrics": dict(self.logged_metrics)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.trainer.state.fn != "fit":
            return
        self._resumed = checkpoint["learner"]
        before, now = checkpoint["hyper_parameters"]["config"], self.hparams["config"]
        if any(before.get(key) != now.get(key) for key in _TRAINING):  # what ended the training then need not do so now
            checkpoint["loops"]["fit_loop"]["stopping"] = False

    def on_train_epoch_start(self) -> None:
        expect_losses()

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_index: int) -> None:
        """Log every N steps and at the end of an epoch, in one call to each tracker; `self.log` takes 1 ms a metric in each step."""
        self._norms.after()
        if self._is_logged(self.trainer.global_step) and not self.trainer.fit_loop._should_accumulate():
            metrics = self._throughput.compute(self.trainer.strategy) | self._norms.take() | peak_memory(self.device)
            self._log({**metrics, **self._rates()})
        expect_losses()  # of the next step

    def _is_logged(self, step: int) -> bool:
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        return bool(every and (step % every == 0 or self.trainer.is_last_batch or step == self.trainer.max_steps))

    def _rates(self) -> dict[str, float]:
        """The highest learning rate of all parameter groups, and where groups have different ones, each of them, the highest first."""
        rates = {group["initial_lr"]: group["lr"] for group in self.trainer.optimizers[0].param_groups}
        several = {f"train/lr/{number}": rates[key] for number, key in enumerate(sorted(rates, reverse=True), 1)}
        return {"train/lr": self._top_rate(), **(several if len(rates) > 1 else {})}

    def _top_rate(self) -> float:
        """The highest learning rate of all parameter groups."""
        return max(group["lr"] for group in self.trainer.optimizers[0].param_groups)

    def _log(self, metrics: dict[str, float]) -> None:
        self.logged_metrics |= metrics
        self._log_figures()
        for tracker in self.loggers:
            tracker.log_metrics({"epoch": self.current_epoch, **metrics}, step=self.trainer.global_step)

    def _trackers(self) -> list[Tracker]:
        """The loggers that are more than Lightning's."""
        return [tracker for tracker in self.loggers if isinstance(tracker, Tracker)]

    def _log_figures(self) -> None:
        """Log the figures recorded since the last call, each at its step. A collective call: all ranks must make it."""
        for step, figures in ({} if self._figures is None else self._figures.take()).items():
            for tracker in self.loggers:
                tracker.log_metrics(figures, step=step)

    def on_train_end(self) -> None:
        self.trained_tokens = self._throughput.all_tokens(self.trainer.strategy)
        record_figures(None)
        self._log_figures()

    # -- validation and test ---------------------------------------------------------------------------------------------

    @property
    def _phase(self) -> str:
        return "test" if self.trainer.testing else "validation"

    def on_validation_epoch_start(self) -> None:
        gather(self.task)
        self._started = time.perf_counter()
        keep = self.trainer.state.fn != "fit" and self._phase == self.predictions
        sample = max((tracker.table_rows for tracker in self._trackers()), default=0) if self.trainer.state.fn == "fit" else 0
        self._evaluation = Evaluation(self.task, self.decodes[self._phase], self.device, keep, sample if self.trainer.is_global_zero else 0)

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        (self.calibration or self._evaluation).update(batch)

    def on_validation_epoch_end(self) -> None:
        if self.calibration is not None:
            self.calibration.fit(self.trainer.strategy)
            scatter(self.task)
            return
        metrics = {f"{self._phase}/{name}": value for name, value in self._evaluation.compute().items()}
        scatter(self.task)
        if self.trainer.sanity_checking:
            return
        self.log_dict(metrics, logger=False, sync_dist=True)  # for callbacks; equal on all ranks, but Lightning warns without sync_dist
        self._log(metrics)
        if self.trainer.state.fn == "fit":
            self._throughput.start += time.perf_counter() - self._started
        if rows := self._evaluation.sampled():
            table = [{"step": self.trainer.global_step, "epoch": self.current_epoch, **row} for row in self.task.table(rows)]
            for tracker in self._trackers():
                tracker.log_table("predictions", table[: tracker.table_rows], self.trainer.global_step)
        if self._evaluation.keep and self.folder is not None:
            self.predicted_rows = self._evaluation.write(self.folder / "predictions.jsonl")
            self.reports = list(self._evaluation.reports)

    on_test_epoch_start, test_step, on_test_epoch_end = on_validation_epoch_start, validation_step, on_validation_epoch_end
