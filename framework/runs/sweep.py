"""The folder of a sweep, `runs/TASK/NAME`: its runs, and their ledger, `sweep.json`.

The ledger says which run is for which job, by names relative to its folder, so that the folder may be moved. What a run has reached
stands in its own run.json; the ledger repeats it for the reader, and keeps what no run has: why a job failed before it had a folder.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from framework.config.sweeping import names
from framework.errors import UserError
from framework.runs.folder import Run
from framework.utils.files import new_folder, write_text
from framework.utils.json_files import read_table
from framework.utils.json_text import to_json
from framework.utils.typed import require

LEDGER = "sweep.json"
DONE = ("finished", "pruned")
_FIELDS = {"name": str, "search": list[str] | None, "jobs": list[dict[str, Any]]}
_JOB = {"run": str, "job": list[str], "state": str, "value": float | None, "error": str | None, "code": int, "ended": float | None}


@dataclass(frozen=True)
class Job:
    """A job of a sweep.

    run: name of its run's folder. job: what makes it this job (`sweeping.identity`). state: of its run, or `missing`, or `pruned`.
    value: the metric that its best checkpoint was chosen by. error, code: why it failed, and with which exit code. ended: when it was last
    done or failed, in seconds of the epoch.
    """

    run: str
    job: tuple[str, ...]
    state: str = "missing"
    value: float | None = None
    error: str | None = None
    code: int = 0
    ended: float | None = None

    @property
    def done(self) -> bool:
        return self.state in DONE


@dataclass
class Ledger:
    """The jobs of a sweep. folder: of the sweep. name: that it was made with, the group of its runs. search: what makes a search this one
    (`sweeping.identity`); None for a sweep over given values."""

    folder: Path
    name: str
    search: tuple[str, ...] | None = None
    jobs: list[Job] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> "Ledger":
        """The ledger in a folder, with the states that its runs have now. UserError: it is damaged."""
        path = folder / LEDGER
        table = read_table(path)
        require(table, _FIELDS, path)
        jobs = []
        for entry in table["jobs"]:
            require(entry, _JOB, path)
            if not re.fullmatch(r"[\w.,=+-]+", entry["run"]) or entry["run"].startswith("."):
                raise UserError(f"{path} is damaged: {entry['run']!r} is no name of a run's folder")
            known = {key: entry[key] for key in _JOB}
            jobs.append(Job(**{**known, "job": tuple(entry["job"])}))
        search = None if table["search"] is None else tuple(table["search"])
        return cls(folder, table["name"], search, [_refreshed(job, folder) for job in jobs])

    @classmethod
    def find(cls, root: Path, search: tuple[str, ...] | None, jobs: Iterable[tuple[str, ...]] = ()) -> "Ledger | None":
        """The ledger in a folder of sweeps that has just these jobs, or is of this search, under whatever name."""
        wanted = set(jobs)
        for path in sorted(root.glob(f"*/{LEDGER}")):
            ledger = cls.read(path.parent)
            if ledger.search == search and (search is not None or {job.job for job in ledger.jobs} == wanted):
                return ledger
        return None

    def add(self, jobs: Sequence[tuple[str, ...]]) -> None:
        """Adds jobs that are not there yet, with names that say in what they differ from all others."""
        new = [job for job in dict.fromkeys(jobs) if job not in {known.job for known in self.jobs}]
        every = [*(known.job for known in self.jobs), *new]
        width = max(2, len(str(len(every))))
        for number, (job, name) in enumerate(zip(every, names(every), strict=True), start=1):
            if number > len(self.jobs):
                self.jobs.append(Job(f"{number:0{width}}{'_' if name else ''}{name}", job))

    def save(self) -> None:
        """Writes sweep.json. The folder is there with it or not at all. UserError: it cannot be written, or another sweep has it now."""
        content = {"name": self.name, "search": self.search, "jobs": [asdict(job) for job in self.jobs]}
        text = to_json(content, indent=1) + "\n"
        if (self.folder / LEDGER).exists():
            return write_text(self.folder / LEDGER, text)
        try:
            with new_folder(self.folder) as partial:
                write_text(partial / LEDGER, text)
        except OSError as error:
            why = f"{self.folder}: {error.strerror or error}"
            raise UserError(f"{why}\nruns=DIR names another folder for runs, name=NAME another name for the sweep") from None

    @contextmanager
    def edited(self) -> Iterator[None]:
        """Inside, the ledger is as it stands on disk, and no other process changes it; afterwards it is written."""
        with FileLock(self.folder / f".{LEDGER}.lock"):
            self.jobs = Ledger.read(self.folder).jobs
            yield
            self.save()

    def note(self, run: str, **changes: Any) -> None:
        """Records what a job has come to."""
        with self.edited():
            self.jobs = [_refreshed(replace(job, **changes), self.folder) if job.run == run else job for job in self.jobs]

    def of(self, jobs: Iterable[tuple[str, ...]]) -> list[Job]:
        """The entries of jobs, in their order."""
        known = {job.job: job for job in self.jobs}
        return [known[job] for job in dict.fromkeys(jobs)]


def sweep_of(run: Path) -> str | None:
    """The name of the sweep that a run's folder lies in; None if it lies in none. UserError: the ledger is damaged."""
    path = run.parent / LEDGER
    if not path.is_file():
        return None
    table = read_table(path)
    require(table, {"name": str}, path)
    return str(table["name"])


def _refreshed(job: Job, folder: Path) -> Job:
    """A job with what its run says. One that failed, perhaps before the run could say so, keeps its reason until it is finished."""
    run = Run(folder / job.run)
    if not (run.folder / "run.json").is_file():
        return job if job.state == "failed" else replace(job, state="missing")
    notes = run.notes()
    state = notes.get("state", "missing")
    if state == "finished":
        return replace(job, state=job.state if job.state == "pruned" else state, value=run.objective(), error=None, code=0)
    if job.state == "failed":
        return job
    return replace(job, state=state, error=notes.get("error"), code=int(state == "failed"))
