"""Pruning of a search's trials: a trial whose monitored metric is worse than the median of the others ends early."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from framework.registry import register

if TYPE_CHECKING:
    import optuna

STUDY = "study.jsonl"  # in the folder of the sweep
PRUNED = "pruned"  # what the callback notes in the study


def open_study(path: Path, **options: Any) -> "optuna.Study":
    """The study in a file, which several processes may use at once. options: of `optuna.create_study`."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(storage=JournalStorage(JournalFileBackend(str(path))), study_name="sweep", load_if_exists=True, **options)


@register("callback")
class Pruning(Callback):
    """Tells the study of a search the monitored metric after each validation, and ends a trial that is worse than the median of the others
    at the same share of their training. Akiba et al. 2019, section 3.2, https://arxiv.org/abs/1907.10902

    A run outside of its sweep's folder is not pruned.

    trial: its number in the study.
    """

    option_traits: ClassVar = {"ruled": ("trial",)}
    rules: ClassVar[dict[str, str]] = {"trial >= 0": "trial is the number of a trial, from 0"}

    def __init__(self, folder: Path, monitor: str, mode: Literal["min", "max"], trial: int = 0):
        self.path, self.monitor, self.mode, self.trial = Path(folder).parent / STUDY, monitor, mode, trial

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A trial that was pruned and then killed has ended."""
        known = trainer.is_global_zero and self.path.exists()
        if trainer.strategy.broadcast(known and PRUNED in self._study().trials[self.trial].user_attrs):
            trainer.should_stop = True

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        score, steps = float(trainer.callback_metrics.get(self.monitor, math.nan)), trainer.estimated_stepping_batches
        share = round(100 * trainer.global_step / steps) if math.isfinite(steps) else trainer.global_step
        worse = trainer.is_global_zero and math.isfinite(score) and self._is_worse(share, score)
        if trainer.strategy.broadcast(worse):
            trainer.should_stop = True

    def _is_worse(self, share: int, score: float) -> bool:
        """Whether the trial is pruned. share: percent of its training."""
        if not self.path.exists():
            return False
        import optuna

        study = self._study()
        trial = optuna.trial.Trial(study, study.trials[self.trial]._trial_id)
        trial.report(score, step=share)
        if worse := trial.should_prune():
            trial.set_user_attr(PRUNED, share)
            print(f"the trial is pruned at {share} % of its training: {self.monitor} {score:.4g} is worse than the median", flush=True)
        return worse

    def _study(self) -> "optuna.Study":
        import optuna

        return open_study(self.path, pruner=optuna.pruners.MedianPruner(), direction=f"{self.mode}imize")
