"""A search: trials that optuna asks for, each a job of a sweep. The study lies in the sweep's folder, so that a search goes on with it."""

import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.config.space import Axis, Space
from framework.config.sweeping import identity, names
from framework.errors import UserError
from framework.pretrained.source import Sources
from framework.runs.build import build_on_meta
from framework.runs.sweep import Job
from framework.training.pruning import PRUNED, STUDY, open_study
from framework.workflows.start import Start, compose_run
from framework.workflows.sweep import Sweep, find_ledger

if TYPE_CHECKING:
    import optuna


@dataclass
class Search(Sweep):
    """A sweep whose jobs are the trials of a study. space: what is searched. direction: minimize or maximize."""

    space: Space = Space({}, (), 1, "tpe", "none")
    direction: str = "minimize"

    @classmethod
    def found(cls, space: Space, folders: list[Path], sources: Sources) -> "Search":
        """The search of a space, in its folder or new. UserError: its first trial is wrong, or optuna is not installed."""
        try:
            import optuna  # noqa: F401
        except ImportError:
            raise UserError("a search needs the package optuna: python -m pip install 'optuna>=5'") from None
        first, *others = (space.words(point) for point in space.points())
        composed = compose_run(first, folders, sources)
        keys = ",".join(re.split("[./]", key)[-1] for key in space.axes)
        ledger = find_ledger(composed, [f"search={keys}"], space.identity())
        task = build_on_meta(composed.config)
        search = cls(ledger, {}, folders, composed.config["runs"], space=space, direction=f"{task.mode}imize")
        if not ledger.folder.exists():
            Start.fresh(composed, sources)  # checks it
            search.warn(others)
        return search

    def warn(self, points: Sequence[tuple[str, ...]]) -> None:
        """Prints which values are refused where all others are the first; they may be legal beside others."""
        for words in points:
            try:
                compose_run(words, self.folders)
            except UserError as error:
                print(f"sweep    {' '.join(words[len(self.space.fixed) :])}: {str(error).partition(chr(10))[0]}; such trials will fail")

    def trials(self) -> list[int | None]:
        """The trials to do: numbers of those that a killed or failed process left, and None for each new one."""
        from optuna.trial import TrialState

        trials = self.study().trials if (self.ledger.folder / STUDY).exists() else []
        begun: list[int | None] = [trial.number for trial in trials if trial.state == TrialState.RUNNING]
        counted = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
        for trial in trials:
            self._enter(trial)
        return [*begun, *[None] * (self.space.trials - len(begun) - len(counted))]

    def study(self) -> "optuna.Study":
        """The study, with a sampler that depends on how many trials there are: in a search that goes on, its numbers go on as well."""
        import optuna

        study = open_study(self.ledger.folder / STUDY, direction=self.direction)
        seed = len(study.get_trials(deepcopy=False))
        random = self.space.sampler == "random"
        study.sampler = optuna.samplers.RandomSampler(seed) if random else optuna.samplers.TPESampler(seed=seed)
        return study

    def do(self, number: int | None) -> None:
        """Does a trial, a new one or one that was begun, and tells the study what it has come to."""
        from optuna.trial import TrialState

        if number is None:
            number = self.study().ask({key: _distribution(axis) for key, axis in self.space.axes.items()}).number
        study = self.study()
        run = self._enter(study.trials[number])
        job = self._job(run)
        if not job.done:
            self.work(job)
            job = self._job(run)
        if job.state == "failed":
            if not (self.ledger.folder / run).exists():  # it could not begin, and never will
                study.tell(number, state=TrialState.FAIL)
            return
        if PRUNED in study.trials[number].user_attrs:
            study.tell(number, state=TrialState.PRUNED)
            self.ledger.note(run, state="pruned", ended=time.time())
        elif job.value is None or not math.isfinite(job.value):
            study.tell(number, state=TrialState.FAIL)
        else:
            study.tell(number, job.value)

    def _enter(self, trial: Any) -> str:
        """Enters a trial in the ledger, if it is not there. Returns the name of its run."""
        values = {key: axis.text(trial.params[key]) for key, axis in self.space.axes.items()}
        pruning = [f"callbacks.pruning={{is: pruning, trial: {trial.number}}}"] if self.space.pruner == "median" else []
        words = (*self.space.words(values), *pruning)
        (name,) = names([words], list(self.space.axes))
        run = f"{trial.number + 1:02}_{name}"
        self.words[run] = words
        with self.ledger.edited():
            if run not in {job.run for job in self.ledger.jobs}:
                self.ledger.jobs.append(Job(run, identity(words)))
        return run

    def _job(self, run: str) -> Job:
        return next(job for job in self.ledger.jobs if job.run == run)

    def total(self) -> int:
        return self.space.trials

    def remarks(self) -> list[str]:
        """The best trial."""
        done = [job for job in self.mine() if job.state == "finished" and job.value is not None and math.isfinite(job.value)]
        best = (min if self.direction == "minimize" else max)(done, key=lambda job: job.value or 0.0, default=None)
        return [f"best     {best.run}: {best.value:.4g}"] if best else []


def _distribution(axis: Axis) -> "optuna.distributions.BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if axis.choices:
        return CategoricalDistribution(axis.choices)
    if axis.whole:
        return IntDistribution(round(axis.low), round(axis.high), log=axis.log, step=round(axis.step or 1))
    return FloatDistribution(axis.low, axis.high, log=axis.log, step=axis.step)
