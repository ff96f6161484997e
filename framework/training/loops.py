"""Lightning's training loops, which say their place, go on from it, and tell callbacks when a step has ended.

Lightning saves some thirty counters and guesses from them where a run was interrupted; one that was saved after the last batch of an epoch,
before validation, is taken for a finished epoch. Here the place is saved (`Place`), all counters are set from it, and what was due there is
done first. Lightning's own ways of restarting are never taken: no loop is ever `restarting`.
"""

import math
from collections.abc import Mapping
from typing import Any, cast

import pytorch_lightning as pl
from pytorch_lightning.loops.evaluation_loop import _EvaluationLoop
from pytorch_lightning.loops.fetchers import _DataFetcher
from pytorch_lightning.loops.fit_loop import _FitLoop
from pytorch_lightning.loops.progress import _ProcessedTracker, _Progress
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop
from pytorch_lightning.loops.utilities import _is_max_limit_reached
from pytorch_lightning.trainer.states import RunningStage, TrainerFn

from framework.training.place import Place


class FitLoop(_FitLoop):
    """The epochs of a run. limits: Lightning's loop, which has them from the options of the trainer.

    resumed: the place of the checkpoint that the run goes on from, until the first epoch of this process has ended.
    """

    epoch_loop: "EpochLoop"

    def __init__(self, trainer: pl.Trainer, limits: _FitLoop):
        super().__init__(trainer, limits.min_epochs, limits.max_epochs)
        self.epoch_loop = EpochLoop(trainer, limits.epoch_loop.min_steps, limits.epoch_loop.max_steps)
        self.resumed: Place | None = None

    @property
    def place(self) -> Place:
        """The current place of the run. The end of an epoch that was cut short, by `max_steps` or a callback, is a place within it."""
        loop, epochs = self.epoch_loop, cast(_ProcessedTracker, self.epoch_progress.current)
        epoch, batches, validated = epochs.processed, loop.batches, loop.validated
        ended = epochs.started == epochs.processed
        if not batches or (ended and loop._num_ready_batches_reached()):
            batches, validated = 0, True
        elif ended:
            epoch, validated = epoch - 1, True
        return Place(
            epoch=epoch,
            batches=batches,
            length=int(self.max_batches) if math.isfinite(self.max_batches) else 0,
            total=loop.total_batches,
            steps=loop.global_step,
            validated=validated,
            postponed=loop.postponed and not validated,
            stopping=bool(self.trainer.should_stop),
            processes=self.trainer.world_size,
        )

    def state_dict(self, *_: Any) -> dict[str, Any]:
        return self.place.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any], *_: Any) -> None:
        place = Place(**state_dict)
        place.check(self.max_epochs, self.max_steps, self.trainer.world_size)
        self.resumed = place
        _set(self.epoch_progress, place.epoch, place.epoch, begun=bool(place.batches))
        self.epoch_loop.set_counters(place)
        self.trainer.should_stop = place.stopping
        self.trainer.num_sanity_val_steps = 0

    @property
    def is_resuming(self) -> bool:  # the first epoch then has its iterator already
        return self.resumed is not None

    @property
    def restarted_mid_epoch(self) -> bool:  # its start was announced then
        return self.resumed is not None and self.resumed.batches > 0

    @property
    def done(self) -> bool:
        """Whether training is over; not before the epoch of the checkpoint has had its end."""
        return not self.restarted_mid_epoch and super().done

    @property
    def skip(self) -> bool:
        """Whether there is nothing to train. A resumed run that is over has its start and its end all the same."""
        return self.trainer.limit_train_batches == 0 or (self.resumed is None and self.done)

    def on_run_start(self) -> None:
        if self.resumed is not None and self.trainer.is_global_zero:
            print(f"resumed at {self.resumed}", flush=True)
        super().on_run_start()

    def on_iteration_done(self) -> None:
        super().on_iteration_done()
        self.resumed = None

    def _load_combined_loader_states(self) -> None:
        """The loader starts at the place."""
        if self.resumed is not None and self._combined_loader is not None:
            for loader in self._combined_loader.flattened:
                loader.start_at(self.resumed.epoch, self.resumed.batches if self.resumed.within else 0)


class EpochLoop(_TrainingEpochLoop):
    """The batches of an epoch, each followed by what is due after it.

    Callbacks may have a hook `on_train_step_end(trainer, pl_module)`: an optimizer step has ended, it is logged, and validation has not
    begun; so a checkpoint that is saved in it loses nothing.
    """

    def __init__(self, trainer: pl.Trainer, min_steps: int | None = None, max_steps: int = -1):
        super().__init__(trainer, min_steps, max_steps)
        self.val_loop = ValidationLoop(trainer, TrainerFn.FITTING, RunningStage.VALIDATING, verbose=False, inference_mode=False)
        self._settled = 0  # batches, in all epochs, after which nothing is due any more
        self.postponed = False  # validation, to the end of an accumulated step
        self._due = False  # whether what follows the newest batch of the checkpoint is still to be done

    @property
    def batches(self) -> int:
        """Batches that are done, of this epoch."""
        return cast(_ProcessedTracker, self.batch_progress.current).processed

    @property
    def total_batches(self) -> int:
        """Batches that are done, of all epochs."""
        return cast(_ProcessedTracker, self.batch_progress.total).processed

    @property
    def validated(self) -> bool:
        return self._settled == self.total_batches

    def settle(self) -> None:
        """Nothing is due any more after the newest batch."""
        self._settled = self.total_batches

    def set_counters(self, place: Place) -> None:
        _set(self.batch_progress, place.batches, place.total)
        steps = self.automatic_optimization.optim_progress.optimizer.step
        steps.total.ready = steps.total.completed = place.steps
        self._due, self.postponed = not place.validated, place.postponed
        self._settled = place.total - self._due
        self._batches_that_stepped = place.steps - self._due  # raised when nothing is due any more

    def reset(self) -> None:
        place = cast(FitLoop, self.trainer.fit_loop).resumed
        if place is None or not place.batches:
            super().reset()
            return
        length = self.trainer.num_training_batches
        if not place.within or place.batches >= length:  # the epoch is over, also where it has another number of batches now
            _set(self.batch_progress, int(length), place.total)
            self.batch_progress.is_last_batch = True

    @property
    def done(self) -> bool:
        """Whether the epoch is over; not within an accumulated step."""
        unfinished = self._due or (self._should_accumulate() and not self._is_training_done)
        return not unfinished and super().done

    def advance(self, data_fetcher: _DataFetcher) -> None:
        if not self._due:
            super().advance(data_fetcher)

    def on_advance_end(self, data_fetcher: _DataFetcher) -> None:
        if not self._due and not self._should_accumulate():
            for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
                if hook := getattr(callback, "on_train_step_end", None):
                    hook(self.trainer, self.trainer.lightning_module)
        super().on_advance_end(data_fetcher)
        self._due = False
        self.settle()

    def _should_check_val_fx(self, data_fetcher: _DataFetcher) -> bool:
        """Whether validation is due: also after the last step of a run, and never within an accumulated step, whose gradient no checkpoint
        has."""
        last = _is_max_limit_reached(self.global_step, self.max_steps) and self._should_check_val_epoch()
        due = self.postponed or last or super()._should_check_val_fx(data_fetcher)
        self.postponed = due and self._should_accumulate()
        return due and not self.postponed


class ValidationLoop(_EvaluationLoop):
    """Validation in training: done when callbacks are told its end."""

    def _on_evaluation_end(self, *arguments: Any, **keywords: Any) -> None:
        if not self.trainer.sanity_checking:
            cast(EpochLoop, self.trainer.fit_loop.epoch_loop).settle()
        super()._on_evaluation_end(*arguments, **keywords)


def _set(progress: _Progress, current: int, total: int, begun: bool = False) -> None:
    """Sets the counters of something done so many times; begun: and once more, without being done."""
    for tracker, count in ((progress.current, current), (progress.total, total)):
        tracker = cast(_ProcessedTracker, tracker)
        tracker.ready = tracker.started = count + begun
        tracker.processed = tracker.completed = count
