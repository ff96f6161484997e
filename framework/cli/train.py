"""The command line of training: flags, sweeps, resuming, and exit codes."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.cli.help import help_text
from framework.config import catalogue as index
from framework.errors import UserError
from framework.workflows.processes import start

if TYPE_CHECKING:
    from framework.config.compose import Composed
    from framework.runs.folder import Run

RUNS = Path("runs")


def main(argv: Sequence[str]) -> int:
    """Trains what the command line says. Exit code: 0, 2 for a mistake of the user's, 130 for Ctrl-C; a bug raises."""
    try:
        return _main(list(argv))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. `checkpoints/last.ckpt` is where it stood; go on with resume=runs/last", file=sys.stderr)
        return 130


def _main(argv: list[str]) -> int:
    arguments, rest = _flags().parse_known_args(argv)
    if arguments.help:
        print(help_text(index.load()))
        return 0
    folders = config_folders(arguments.config_dir)
    from framework.pretrained.transfer import pinned
    from framework.workflows.preflight import composed_run, ready

    rest = pinned(rest)
    if arguments.multirun:
        return _sweep(rest, folders)
    if flags := [word for word in rest if word.startswith("-")]:
        if arguments.cfg or not _hydras_own(flags[0]):
            raise UserError(f"{flags[0]}: no such flag; see python train.py --help")
        from framework.config.hydra_source import attach

        attach(folders)
        return _hydra(rest, lambda config: None)
    if any(text.startswith("resume=") for text in rest) and not arguments.cfg:
        resume_or_start(rest, folders)
        return 0
    composed = composed_run(rest, folders)
    if arguments.cfg:
        _show(composed.config, arguments.package)
        return 0
    composed = ready(composed)
    start(composed.config, lambda: new_run(composed))
    return 0


def _flags() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    flags.add_argument("-h", "--help", action="store_true")
    flags.add_argument("-m", "--multirun", action="store_true")
    flags.add_argument("-cd", "--config-dir")
    flags.add_argument("-c", "--cfg", choices=["job"])
    flags.add_argument("-p", "--package")
    return flags


def _hydras_own(flag: str) -> bool:
    return flag in ("-sc", "--shell-completion", "-i", "--info", "--hydra-help", "--version")


def config_folders(folder: str | None) -> list[Path]:
    if folder is None:
        return []
    if not Path(folder).is_dir():
        raise UserError(f"--config-dir {folder}: there is no such folder")
    return [Path(folder).resolve()]


def _show(config: Mapping[str, Any], package: str | None) -> None:
    from omegaconf import OmegaConf

    shown: Any = config
    for key in package.split(".") if package else ():
        if not isinstance(shown, Mapping) or key not in shown:
            raise UserError(f"--package {package}: there is no {key!r}")
        shown = shown[key]
    print(OmegaConf.to_yaml(shown) if isinstance(shown, (Mapping, list)) else shown, end="")


def _hydra(argv: list[str], job: Any) -> int:
    """Hands the command line to Hydra itself: sweeps, completion, --info."""
    import hydra

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and leaving
    kept, sys.argv = sys.argv, [sys.argv[0], *argv]
    try:
        hydra.main(version_base="1.3", config_path=None, config_name="config")(job)()
    finally:
        sys.argv = kept
    return 0


def _sweep(overrides: list[str], folders: list[Path]) -> int:
    """Hydra's own sweep over our jobs; all of a plain sweep's jobs are checked before the first one trains."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from omegaconf import DictConfig

    from framework.config.compose import open_dictionaries
    from framework.config.hydra_source import attach
    from framework.config.recipes import recipe_of
    from framework.pretrained.source import implied
    from framework.workflows.preflight import composed_run, ready

    overrides = open_dictionaries(overrides, index.load())
    meant = implied(overrides)
    if not any(text.startswith("hydra/sweeper=") for text in overrides):
        try:
            batches = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(overrides), None)
        except HydraException as error:
            raise UserError(str(error).partition("\n")[0]) from error
        for words in batches[0]:
            ready(composed_run(words, folders))

    def job(config: DictConfig) -> float | None:
        """Composed anew: only now is it known from which model this job begins, and so its options and its recipe."""
        composed = ready(composed_run([word for word in HydraConfig.get().overrides.task if word not in meant], folders))
        return start(composed.config, lambda: new_run(composed))

    attach(folders)
    attach(folders, recipe_of([*meant, *overrides]), [*meant, *overrides])
    return _hydra(["-m", *meant, *overrides], job)


def new_run(composed: "Composed") -> "Run":
    from framework.runs.folder import Run

    task = composed.config["task"]["part"].partition("/")[2]
    return Run.create(RUNS, task, composed.config, composed.overrides, composed.chosen)


def resume_or_start(overrides: list[str], folders: list[Path]) -> float | None:
    """`resume=RUN` goes on with a run under its saved config; `resume=auto name=X` starts X if there is none."""
    from framework.pretrained import teacher
    from framework.runs.resume import changed, run_to_resume
    from framework.workflows.preflight import check_data, composed_run, ready

    fresh = None
    name = task = None
    if "resume=auto" in overrides:
        fresh = composed_run([text for text in overrides if text != "resume=auto"], folders)
        task = fresh.config["task"]["part"].partition("/")[2]
        name = next((text.partition("=")[2] for text in overrides if text.startswith("name=")), None)
    run = run_to_resume(overrides, RUNS, name, task)
    if run is None:
        assert fresh is not None
        fresh = ready(fresh)
        return start(fresh.config, lambda: new_run(fresh))
    if fresh is not None:  # the same command again: its words are the run's own, and what differs must be allowed
        overrides = [text for text in overrides if text not in run.overrides()]
    config = changed(run, overrides, folders, training=True)
    check_data(config)
    teacher.check(config)

    def go_on() -> "Run":
        from framework.weights.torch_files import read_checkpoint

        if run.last.exists():
            read_checkpoint(run.last)  # a broken one is refused before anything in the folder changes
        return run.go_on(config, overrides)

    return start(config, go_on, run.folder if run.last.exists() else None)
