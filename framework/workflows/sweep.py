"""The jobs of a sweep as runs: which are to do, how each starts, and what it has come to. Whoever starts them, in turn or at once, does so
by `Sweep.work`; what it needs travels to another process."""

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from framework.config.compose import Composed, default_name
from framework.config.quoting import quote
from framework.config.sweeping import identity
from framework.errors import RankFailed, UserError
from framework.pretrained.source import Sources
from framework.runs.folder import Run
from framework.runs.life import reason
from framework.runs.sweep import Job, Ledger
from framework.utils import cpu_clock
from framework.utils.phases import clock
from framework.utils.ranks import ranks
from framework.workflows.processes import launch
from framework.workflows.start import Start, compose_run


@dataclass
class Sweep:
    """A sweep in its folder.

    words: name of a job's run -> its overrides, of the jobs that were asked for. folders: config folders of the user's own. runs: the
    folder of runs. began: when this process, or the one that sent it here, began with it.
    """

    ledger: Ledger
    words: dict[str, tuple[str, ...]]
    folders: list[Path]
    runs: str
    began: float = field(default_factory=time.time)

    @classmethod
    def of(cls, jobs: Sequence[tuple[str, ...]], swept: Sequence[str], folders: list[Path], sources: Sources) -> "Sweep":
        """The sweep of these jobs: the folder of the typed name, which may have others beside them; without a name the folder that has just
        these jobs; or a new one, of which nothing is on disk yet. swept: the overrides of several values, after which it is called."""
        composed = compose_run(jobs[0], folders, sources)
        wanted = [identity(words) for words in jobs]
        ledger = find_ledger(composed, swept, None, wanted)
        ledger.add(wanted)
        named = zip(ledger.of(wanted), dict(zip(wanted, jobs, strict=True)).values(), strict=True)
        return cls(ledger, {job.run: words for job, words in named}, folders, composed.config["runs"])

    def todo(self) -> list[Job]:
        """The jobs that are not done: those that failed last, so that what made them fail does not hold up the others."""
        return sorted((job for job in self.mine() if not job.done), key=lambda job: job.state == "failed")

    def mine(self) -> list[Job]:
        """The entries of the jobs that were asked for."""
        return [job for job in self.ledger.jobs if job.run in self.words]

    def start(self, job: Job, sources: Sources) -> Start:
        """The start of a job: of its run, where that has a folder, or of a new one. UserError: as `Start.fresh` and `Start.resumed`."""
        folder = self.ledger.folder / job.run
        if (folder / "config.yaml").exists():
            run = Run.open(folder)
            moved = [] if run.saved_config().get("runs") == self.runs else [f"runs={quote(self.runs)}"]
            return Start.resumed(run, moved, self.folders)
        compose = self.composer(job, sources)
        return replace(Start.fresh(compose(None), sources), compose=compose, place=folder)

    def composer(self, job: Job, sources: Sources) -> Callable[[Mapping[str, Any] | None], Composed]:
        """Composes a job, with settings that the task chooses from the training rows. Its run is called like its folder."""
        words = [*self.words[job.run], f"name={quote(job.run)}"]
        return lambda settings: compose_run(words, self.folders, sources, settings)

    def work(self, job: Job, start: Start | None = None) -> None:
        """Trains a job and notes what it has come to; why it failed is printed, and stands in the ledger. What ends more than the job is
        raised: a signal, and an error while several processes of srun or torchrun are in it.

        start: of the job; None = made here."""
        cpu_clock.restart()
        try:
            launch(lambda: start or self.start(job, Sources()))
        except Exception as error:
            if ranks().size > 1 and (self.ledger.folder / job.run).exists():  # the other ranks are in it, and do not know
                raise
            expected = isinstance(error, (UserError, RankFailed))
            print(error if expected else traceback.format_exc(), file=sys.stderr, flush=True)
            code = 2 if isinstance(error, UserError) else 1
            self.ledger.note(job.run, state="failed", error=reason(error), code=code, ended=time.time())
        else:
            self.ledger.note(job.run, state="finished", error=None, code=0, ended=time.time())
        print(f"\nsweep    {self.progress()}\n", flush=True)

    def total(self) -> int:
        """The number of jobs that were asked for."""
        return len(self.words)

    def remarks(self) -> list[str]:
        """Lines for the end."""
        return []

    def failed(self) -> list[Job]:
        """The jobs that failed since this sweep began here."""
        return [job for job in self.mine() if job.state == "failed" and (job.ended or 0) >= self.began]

    def progress(self) -> str:
        """Counts of the jobs that are done, failed and left, and the time left, by that of the jobs that have ended since the sweep began
        here."""
        jobs = self.mine()
        done, failed = sum(job.done for job in jobs), len(self.failed())
        left, ended = max(self.total() - done - failed, 0), sum((job.ended or 0) >= self.began for job in jobs)
        words = [f"{done} of {self.total()} jobs done", f"{failed} failed" if failed else "", f"{left} left" if left else ""]
        if left and ended:
            words.append(f"about {clock((time.time() - self.began) / ended * left)} left")
        return ", ".join(filter(None, words))


def find_ledger(composed: Composed, swept: Sequence[str], search: tuple[str, ...] | None, jobs: Iterable[tuple[str, ...]] = ()) -> Ledger:
    """The ledger of a sweep, or a new one that is not on disk yet. composed: its first job. UserError: the name is taken."""
    root = Path(composed.config["runs"]).expanduser() / composed.config["task"]["part"].partition("/")[2]
    untitled = default_name(composed.config, composed.overrides)
    if (name := composed.config["name"]) != untitled:
        folder = root / name
        if not folder.exists():
            return Ledger(folder, name, search)
        ledger = Ledger.read(folder)
        if ledger.search != search:
            raise UserError(f"{folder} is of another search, or of a sweep over given values: give this one another name=NAME")
        return ledger
    if found := Ledger.find(root, search, jobs):
        return found
    title = default_name(composed.config, list(swept))
    taken = [path for path in (root / title, *(root / f"{title}_{number}" for number in range(2, 1000))) if not path.exists()]
    return Ledger(taken[0], taken[0].name, search)


def check_environment(jobs: int) -> None:
    """UserError: a variable names one run, and there are several."""
    if jobs > 1 and "WANDB_RUN_ID" in os.environ:
        raise UserError("WANDB_RUN_ID is the id of one run, and a sweep makes several: unset it")
