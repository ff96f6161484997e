"""The command line of sweeps, `-m`."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from framework.cli.launchers import check_launcher, launch_jobs
from framework.config import catalogue as index
from framework.config.compose import open_dictionaries, without_hydra
from framework.config.hydra_source import key_of
from framework.config.quoting import quoted
from framework.config.space import Space, is_search_word
from framework.config.sweeping import expand, parse_overrides, trains_folds, with_folds
from framework.data.cache import checked_once
from framework.errors import UserError
from framework.pretrained.overrides import pinned
from framework.pretrained.source import Sources
from framework.runs import lock
from framework.runs.finding import resumes, wanted
from framework.training.interruption import Interrupted
from framework.utils.ranks import ranks
from framework.workflows.processes import launch
from framework.workflows.start import compose_run
from framework.workflows.sweep import Sweep, check_environment


def sweep(typed: Sequence[str], folders: list[Path]) -> int:
    """Trains the jobs of a command line with values for several, those that are not done yet, and names those that failed at the end.
    Exit code: 0; 2 if a user's mistake failed one; 1 if a bug did.

    UserError: a mistake in any of them, before the first one trains and before anything is written.
    """
    place = ranks()
    if place.size > 1:
        return _with_ranks(typed, folders)
    return _sweep(typed, folders)


def _with_ranks(typed: Sequence[str], folders: list[Path]) -> int:
    """A sweep of jobs whose processes srun or torchrun started: rank zero says when the next one comes, and the exit code at the end."""
    from framework.workflows.meeting import announce, announced

    place = ranks()
    if place.rank > 0:
        while (word := announced(place)) == "next":
            try:
                launch(_nothing)
            except SystemExit as error:
                if isinstance(error, Interrupted):
                    raise  # rank zero has printed why the job could not begin
        return int(word)
    code = 1
    try:
        code = _sweep(typed, folders, lambda: announce(place, "next"))
    except UserError:
        code = 2
        raise
    finally:
        announce(place, str(code), last=True)
    return code


def _nothing() -> Any:
    raise AssertionError("rank zero makes the start")


def _sweep(typed: Sequence[str], folders: list[Path], before: Callable[[], None] = lambda: None) -> int:
    """before: called before each job."""
    overrides, launcher = _overrides(typed)
    if launcher:
        check_launcher(launcher)
    sources = Sources()
    if any(map(is_search_word, overrides)):
        return _search(overrides, launcher, folders, sources, before)
    parsed = parse_overrides(overrides, folders)
    jobs = expand(parsed)
    check_environment(len(jobs))
    found = Sweep.of(jobs, [word for word, each in zip(overrides, parsed, strict=True) if each.is_sweep_override()], folders, sources)
    folder, todo = found.ledger.folder, found.todo()
    if folder.exists():
        lock.check(folder)
    starts = {job.run: found.start(job, sources) for job in todo}
    with _begun(found, len(todo)):
        if launcher:
            del starts  # the processes of the launcher make their own
            launch_jobs(found.ledger.folder, launcher, len(todo), lambda number: found.work(todo[number]))
        else:
            for job in todo:
                before()
                found.work(job, starts.pop(job.run))
    if any(each.get_key_element() == "data.fold" and each.is_sweep_override() for each in parsed):
        _compare_folds(found)
    return min((job.code for job in found.failed()), default=0)


def _compare_folds(found: Sweep) -> None:
    """Prints the figures of a cross-validation over its folds."""
    done = [job for job in found.mine() if job.done]
    if len(done) > 1:
        from framework.comparing.command import compare

        print(f"\n{compare([str(found.ledger.folder / job.run) for job in done])}", flush=True)


def _search(overrides: list[str], launcher: list[str], folders: list[Path], sources: Sources, before: Callable[[], None]) -> int:
    """As `_sweep`: the trials of a search."""
    from framework.workflows.search import Search

    space = Space.of(overrides, folders)
    check_environment(space.trials)
    found = Search.found(space, folders, sources)
    folder = found.ledger.folder
    if folder.exists():
        lock.check(folder)
    trials = found.trials()
    with _begun(found, len(trials)):
        if launcher:
            launch_jobs(folder, launcher, len(trials), lambda number: found.do(trials[number]))
        else:
            for trial in trials:
                before()
                found.do(trial)
    return min((job.code for job in found.failed()), default=0)


@contextlib.contextmanager
def _begun(found: Sweep, todo: int) -> Iterator[None]:
    """In the folder of a sweep, which is made if it is not there, and in which no other process trains."""
    found.began = time.time()
    print(f"sweep    {found.ledger.folder}: {found.total()} jobs, {found.total() - todo} of them done", flush=True)
    found.ledger.save()
    with lock.held(found.ledger.folder), _told(found), checked_once():
        yield


@contextlib.contextmanager
def _told(found: Sweep) -> Iterator[None]:
    """Says at the end which jobs failed, and where the others lie."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, SystemExit):
            print(f"\nThe same command goes on with the sweep: {found.progress()}", file=sys.stderr)
        raise
    finally:
        with found.ledger.edited():
            failed = found.failed()
        print("\n".join([*found.remarks(), f"sweep    {found.ledger.folder}: {found.progress()}"]), flush=True)
        if failed:
            print(f"\n{len(failed)} of {found.total()} jobs failed; the same command tries them again:", file=sys.stderr)
        for job in failed:
            print(f"  {job.run}: {job.error}", file=sys.stderr)


def sweep_configs(typed: Sequence[str], folders: list[Path]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """The overrides of each job of a sweep, with its config. UserError: a mistake in one."""
    overrides = _overrides(typed)[0]
    searched = any(map(is_search_word, overrides))
    for words in _corners(overrides, folders) if searched else expand(parse_overrides(overrides, folders)):
        yield words, compose_run(words, folders).config


def _corners(overrides: list[str], folders: list[Path]) -> list[tuple[str, ...]]:
    """The first trial that a search checks."""
    space = Space.of(overrides, folders)
    return [space.words(space.points()[0])]


def _overrides(typed: Sequence[str]) -> tuple[list[str], list[str]]:
    """The overrides of a sweep in Hydra's grammar, and those of its launcher. UserError: a key that does nothing here."""
    if resumed := wanted(typed):
        raise UserError(f"resume={resumed} goes on with one run; a sweep goes on by its command: leave out -m, or resume=")
    given = [word for word in typed if not resumes(word)]
    if trains_folds(given) and any(map(is_search_word, given)):
        raise UserError("a trial of a search is one training: add data.fold=1, or leave out data.folds")
    given = with_folds(given)
    overrides = pinned(given)
    for word in (after for before, after in zip(quoted(given), overrides, strict=True) if before != after):
        print(f"sweep    {word}: to go on with this sweep later, type it so; runs/last moves with each job", flush=True)
    own = without_hydra(overrides, sweep=True)
    launcher = [word for word in overrides if word not in own and word.partition("=") != ("hydra/launcher", "=", "basic")]
    if wrong := [word for word in launcher if key_of(word).startswith(("hydra/sweeper", "hydra.sweeper"))]:
        raise UserError(f"{wrong[0]}: searches are our own: sweep=optuna")
    if launcher and not any(key_of(word) == "hydra/launcher" for word in launcher):
        raise UserError(f"{launcher[0]}: which launcher? hydra/launcher=joblib")
    for key in ("runs", "name"):
        if [word for word in own if key_of(word) == key and "," in word and not word.partition("=")[2].startswith(("'", '"'))]:
            raise UserError(f"{key}= takes one value: all jobs of a sweep lie in one folder, runs/TASK/NAME")
    return open_dictionaries(own, index.load()), sorted(launcher, key=lambda word: key_of(word) != "hydra/launcher")
