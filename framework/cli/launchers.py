"""Hydra's main function, and its launchers, which do the jobs of a sweep in processes of their own."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from framework.config.hydra_compose import attach, hydra_config
from framework.config.quoting import quote
from framework.data.cache import checked_once
from framework.errors import UserError
from framework.utils.ranks import ranks


def check_launcher(words: Sequence[str]) -> None:
    """UserError: Hydra has no such launcher, or it cannot be used here."""
    if ranks().launcher is not None:
        raise UserError(f"{words[0]}: the processes of srun or torchrun train one job after the other; leave it out, or start one process")
    from hydra.errors import HydraException

    attach()
    try:
        hydra_config(list(words))
    except HydraException as error:
        name = words[0].partition("=")[2]
        plugin = name.partition("_")[0]
        install = f"; python -m pip install hydra-{plugin}-launcher" if plugin in ("joblib", "submitit") else ""
        raise UserError(f"{words[0]}: {str(error).partition(chr(10))[0]}{install}") from error


def launch_jobs(folder: Path, launcher: Sequence[str], count: int, work: Callable[[int], None]) -> None:
    """Lets a launcher of Hydra do the work of so many jobs, by their numbers, in processes of its own."""

    def job(config: Any) -> None:
        with checked_once():
            work(config.sweep_job)

    place = [f"hydra.sweep.dir={quote(str(folder.resolve()))}", "hydra.sweep.subdir=."]
    if count:
        hydra_main(["-m", *launcher, *place, f"+sweep_job={','.join(map(str, range(count)))}"], job)


def hydra_main(argv: list[str], job: Callable[[Any], Any]) -> int:
    """Runs Hydra's own main function: launchers, shell completion, --info."""
    import hydra

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and exiting
    arguments, sys.argv = sys.argv, [sys.argv[0], *argv]
    try:
        hydra.main(version_base="1.3", config_path=None, config_name="config")(job)()
    finally:
        sys.argv = arguments
    return 0
