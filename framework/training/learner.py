"""The one LightningModule: it turns a task's summed losses into steps, and the rows of a task into figures."""

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from framework.data.formats import Batch
from framework.errors import UserError
from framework.generation.engine import Decode
from framework.tracking.base import Tracker
from framework.training.averaging import LIVE
from framework.training.distillation import Distillation
from framework.training.evaluation import Evaluation
from framework.training.meter import Meter
from framework.training.strategies import gather, scatter, shard
from framework.training.task import Task

_TINY = 1e-6  # stands for a weight of 0: a batch without a target has no loss either


class Diverged(UserError):
    """The loss became infinite or no number: the run stopped before such weights were saved."""


class Learner(pl.LightningModule):
    """Trains and measures a task.

    A task gives the loss of a batch summed over its targets, and their number, the weight. A step follows the gradient of
    the sum over the *global* batch (all micro-batches of an accumulation window, on all ranks) divided by the weight of
    that whole batch: the mean of means would give a target in a small batch more say than one in a large batch.

    optimizer: called with model=task. schedule: called with total=steps. config: plain values, saved in each checkpoint.
    decode, test_decode: what the task writes with, in validation (a sample of the rows) and in test (all).
    folder: of the run, for predictions.jsonl. seed: of dropout. distillation: the lessons of a teacher, who is no part of this module.
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
    ):
        super().__init__()
        self.save_hyperparameters({"config": dict(config or {})}, logger=False)
        self.task, self.make_optimizer, self.make_schedule = task, optimizer, schedule
        self.decodes, self.folder, self.seed = {"validation": decode, "test": test_decode}, folder, seed
        self.distillation = distillation
        self.figures: dict[str, float] = {}  # the newest of each, in full precision
        self._reference: float | None = None  # see `_common_reference`
        self._pending: tuple[int, Tensor] | None = None  # step and summed loss that nobody has looked at yet

    def configure_model(self) -> None:
        if self._device_mesh is not None:
            shard(self.task, self._device_mesh["data_parallel"])

    def configure_optimizers(self) -> Any:
        optimizer = self.make_optimizer(model=self.task)
        self._values = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
        # The schedule itself follows in on_train_start: to ask now how many steps there are would set up the loader, and a
        # loader that is set up before the checkpoint is read starts its epoch from the beginning. (And a plain function:
        # LambdaLR would save a callable object's fields, and bring them back over changed options.)
        self._factor: Callable[[int], float] = lambda step: 1.0
        scheduler = LambdaLR(optimizer, lambda step: self._factor(step))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    # -- training --------------------------------------------------------------------------------------------------------

    def on_train_start(self) -> None:
        # Loss and weight of the step in the making, on this rank; as exact as the gradients that the weight divides.
        double = any(parameter.dtype == torch.float64 for parameter in self.task.parameters())
        self._window = torch.zeros(2, device=self.device, dtype=torch.float64 if double else torch.float32)
        self._meter = Meter(self.device)
        if self.distillation is not None:
            self.distillation.to(self.device, cast(torch.dtype, self.dtype))
        self._factor = self.make_schedule(total=self.trainer.estimated_stepping_batches)
        self._take_options()
        for tracker in self.loggers:
            if isinstance(tracker, Tracker):
                tracker.go_on_from(self.trainer.global_step)

    def _take_options(self) -> None:
        """A resumed optimizer brings its old options along; those of this run's config are meant."""
        scheduler = cast(LambdaLR, self.lr_schedulers())
        scheduler.base_lrs = [values["lr"] for values in self._values]
        for group, values in zip(self.trainer.optimizers[0].param_groups, self._values, strict=True):
            group.update(values, initial_lr=values["lr"], lr=values["lr"] * self._factor(scheduler.last_epoch))

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        self._seed_dropout(batch_index)
        result = self.task(batch)
        if self.distillation is not None:
            result = self.distillation(self.task, batch, result)
        weight = result.weight.detach().to(result.loss)
        loss = result.loss + weight * self._side_losses(result.loss)
        if batch.get("ghost"):  # a stand-in row, so that this rank steps with the others
            loss, weight = loss * 0, weight * 0
        self._window += torch.stack((loss.detach(), weight))
        self._meter.count(batch)
        return loss / (weight.clamp(min=_TINY) if self._alone else self._common_reference(weight))

    def _seed_dropout(self, batch_index: int) -> None:
        """Dropout is a function of (seed, epoch, batch, rank): a resumed run draws what an uninterrupted one would have."""
        place = f"{self.seed} {self.current_epoch} {batch_index} {self.global_rank}"
        seed = int.from_bytes(hashlib.blake2b(place.encode(), digest_size=7).digest(), "big")
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would queue a call for each kind of device there might be
        if self.device.type != "cpu":
            torch.get_device_module(self.device).manual_seed(seed)

    def _side_losses(self, like: Tensor) -> Tensor:
        """What modules set as `side_loss` in forward (a mean, such as a router's balance), taken once."""
        total = torch.zeros_like(like)
        for module in self.task.modules():
            if (side := module.__dict__.get("side_loss")) is not None:
                total = total + side
                module.__dict__["side_loss"] = None
        return total

    @property
    def _alone(self) -> bool:
        """Whether this batch is the whole step: then its loss can be divided at once, and no gradient is touched later."""
        return self.trainer.world_size == 1 and self.trainer.accumulate_grad_batches == 1

    def _common_reference(self, weight: Tensor) -> float:
        """What all losses are divided by before the true weight is known: near it, so that float16 gradients do not overflow,
        and a power of two, so that it leaves no trace in the result."""
        if self._reference is None:
            mean = float(self.trainer.strategy.reduce(weight.clone(), reduce_op="sum")) / self.trainer.world_size
            self._reference = 2.0 ** round(math.log2(max(mean, 1.0)))
        return self._reference

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """After the ranks' reduction, before clipping: the sums become the mean over the global batch."""
        window = self.trainer.strategy.reduce(self._window.clone(), reduce_op="sum")
        self._window.zero_()
        self._meter.add(window)
        if self.device.type != "cpu":
            self._check_loss()  # of the step before; asking for this one would make the device wait
        self._pending = (self.trainer.global_step + 1, window[0])
        if self.device.type == "cpu":
            self._check_loss()
        if not self._alone:
            assert self._reference is not None
            # Lightning has divided by the length of a full window, DDP by the number of ranks.
            scale = self.trainer.world_size * self.trainer.accumulate_grad_batches * self._reference / window[1].clamp(min=_TINY)
            gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
            torch._foreach_mul_([g.to_local() if hasattr(g, "to_local") else g for g in gradients], scale)

    def _check_loss(self) -> None:
        if self._pending is not None:
            (step, loss), self._pending = self._pending, None
            if not math.isfinite(float(loss)):
                raise Diverged(self._advice(f"the loss became {float(loss)} at step {step}"))

    def _advice(self, what: str) -> str:
        trainer = self.trainer
        lr, clip = self._top_rate(), trainer.gradient_clip_val
        return (
            f"Training stopped: {what}. No such weights were saved.\n"
            f"It ran with learning rate {lr:.3g}, trainer.gradient_clip_val={clip}, trainer.precision={trainer.precision}.\n"
            "Try a lower optimizer.lr, a longer schedule.warmup, trainer.gradient_clip_val=1.0 or trainer.precision=32-true."
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._check_loss()
        live = checkpoint.get(LIVE, {})  # where the weights are an average
        values = [*checkpoint["state_dict"].items(), *live.items()]
        broken = [name for name, value in values if value.is_floating_point() and not value.isfinite().all()]
        if broken:
            raise Diverged(self._advice(f"{broken[0]} holds an infinity or no number at step {self.trainer.global_step}"))

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_index: int) -> None:
        """Logs every N steps and at the end of an epoch, with one call to each tracker: `self.log` in each step would cost a
        millisecond a figure."""
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        due = every and (self.trainer.global_step % every == 0 or self.trainer.is_last_batch)
        if due and not self.trainer.fit_loop._should_accumulate():
            self._log({**self._meter.read(self.trainer.strategy), "train/lr": self._top_rate()})

    def _top_rate(self) -> float:
        """The highest of all groups: the others are what their factors make of it."""
        return max(group["lr"] for group in self.trainer.optimizers[0].param_groups)

    def _log(self, figures: dict[str, float]) -> None:
        self.figures |= figures
        for tracker in self.loggers:
            tracker.log_metrics({"epoch": self.current_epoch, **figures}, step=self.trainer.global_step)

    # -- validation and test ---------------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        self._begin("validation")

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        self._evaluation.add(batch)

    def on_validation_epoch_end(self) -> None:
        self._end("validation")

    def on_test_epoch_start(self) -> None:
        self._begin("test")

    def test_step(self, batch: Batch, batch_index: int) -> None:
        self._evaluation.add(batch)

    def on_test_epoch_end(self) -> None:
        self._end("test")
        if self.folder is not None:
            self._evaluation.write(self.folder / "predictions.jsonl")

    def _begin(self, phase: str) -> None:
        gather(self.task)
        self._started = time.perf_counter()
        self._evaluation = Evaluation(self.task, self.decodes[phase], self.device, keep=phase == "test")

    def _end(self, phase: str) -> None:
        figures = {f"{phase}/{name}": value for name, value in self._evaluation.figures().items()}
        scatter(self.task)
        if self.trainer.sanity_checking:
            return
        self.log_dict(figures, logger=False, sync_dist=True)  # for callbacks; the same on every rank, but Lightning warns without
        self._log(figures)
        if self.trainer.state.fn == "fit":
            self._meter.leave_out(time.perf_counter() - self._started)
