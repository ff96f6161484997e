"""Sweeps: Hydra's own, over runs that are all checked before the first one trains."""

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from framework.config import catalogue as index
from framework.config.compose import open_dictionaries, without_hydra
from framework.config.hydra_compose import attach, overrides_parser
from framework.errors import RankFailed, UserError
from framework.pretrained.overrides import overrides_from, pinned
from framework.pretrained.source import Sources
from framework.runs.finding import resumes, wanted
from framework.runs.life import reason
from framework.workflows.processes import launch
from framework.workflows.start import Start, compose_run


def sweep(typed: Sequence[str], folders: list[Path]) -> int:
    """Trains the runs of a command line with values for several, and names those that failed at the end. Exit code: 0; 2 if a user's
    mistake failed one; 1 if a bug did.

    UserError: a mistake in any of them, before the first one trains.
    """
    sources, overrides = Sources(), _overrides(typed)
    shared = overrides_from(overrides, sources)  # where all jobs start from one published model: Hydra composes each job with its options
    hydras = [word for word in overrides if word.startswith("hydra")]
    starts: dict[tuple[str, ...], Start] = {}
    if not any(word.startswith("hydra/sweeper=") for word in hydras):
        starts = {words: Start.fresh(compose_run(words, folders, sources), sources) for words in _jobs(overrides, folders)}
    failed: list[tuple[str, str, int]] = []

    def job(config: Any) -> float | None:
        from hydra.core.hydra_config import HydraConfig

        words = tuple(word for word in HydraConfig.get().overrides.task if word not in shared)
        try:
            start = starts.get(words) or Start.fresh(compose_run(words, folders, sources), sources)
            return launch(lambda: start)[1]
        except Exception as error:
            if hydras:  # a launcher or a sweeper of the user's must know of it
                raise
            expected = isinstance(error, (UserError, RankFailed))
            print(error if expected else traceback.format_exc(), file=sys.stderr)
            failed.append((" ".join(words), reason(error), 2 if isinstance(error, UserError) else 1))
            return None

    attach(folders, [*shared, *overrides])
    try:
        hydra_main(["-m", *shared, *overrides], job)
    finally:
        if failed:
            print(f"\n{len(failed)} of {len(starts)} runs failed:", file=sys.stderr)
        for words, why, _ in failed:
            print(f"  {words}: {why}", file=sys.stderr)
    return min((code for _, _, code in failed), default=0)


def sweep_configs(typed: Sequence[str], folders: list[Path]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """The overrides of each run of a sweep, with its config. UserError: a mistake in one."""
    for words in _jobs(_overrides(typed), folders):
        yield words, compose_run(words, folders).config


def hydra_main(argv: list[str], job: Callable[[Any], Any]) -> int:
    """Runs Hydra's own main function: sweeps, shell completion, --info."""
    import hydra

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and exiting
    arguments, sys.argv = sys.argv, [sys.argv[0], *argv]
    try:
        hydra.main(version_base="1.3", config_path=None, config_name="config")(job)()
    finally:
        sys.argv = arguments
    return 0


def _overrides(typed: Sequence[str]) -> list[str]:
    """The overrides of a sweep in Hydra's grammar. UserError: a key of Hydra's own that does nothing."""
    if resumed := wanted(typed):
        raise UserError(f"resume={resumed} goes on with one run; a sweep starts new ones: leave out -m, or resume=")
    overrides = pinned(word for word in typed if not resumes(word))
    without_hydra(overrides, sweep=True)
    return open_dictionaries(overrides, index.load())


def _jobs(overrides: Sequence[str], folders: list[Path]) -> list[tuple[str, ...]]:
    """The overrides of each run, without Hydra's own. UserError: they cannot be parsed."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.errors import HydraException

    attach(folders)
    try:
        batches = BasicSweeper.split_arguments(overrides_parser().parse_overrides(list(overrides)), None)
    except HydraException as error:
        raise UserError(str(error).partition("\n")[0]) from error
    return [tuple(word for word in words if not word.lstrip("+~").startswith("hydra")) for words in batches[0]]
