"""From a command line to running processes: one process, several of our own, those of torchrun or SLURM, or a sweep.

One process composes the run and decides its folder; every rank then reads the explicit config from that folder. Lightning's
strategies do the rest: they find the ranks already started.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework import catalogue as index
from framework.errors import UserError
from framework.menu import help_text

if TYPE_CHECKING:
    from framework.compose import Composed
    from framework.data.module import Prepared
    from framework.runs import Run

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
    from framework.compose import compose

    if arguments.multirun:
        return _sweep(rest, arguments.config_dir, folders)
    if flags := [word for word in rest if word.startswith("-")]:
        if arguments.cfg or not _hydras_own(flags[0]):
            raise UserError(f"{flags[0]}: no such flag; see python train.py --help")
        return _hydra(argv, folders, lambda config: None)
    if any(text.startswith("resume=") for text in rest) and not arguments.cfg:
        resume_or_start(rest, folders)
        return 0
    composed = compose(rest, folders)
    if arguments.cfg:
        _show(composed.config, arguments.package)
        return 0
    check_data(composed.config)
    start(composed.config, lambda: new_run(composed))
    return 0


def check_data(config: Mapping[str, Any]) -> None:
    """Mistakes in the data that its first rows show, found before torch is imported."""
    from framework.data.sources.early import check_early

    declared = index.load().option(config["task"]["format"]["part"])["declarations"]
    check_early(config["data"], declared.get("columns", ()), declared.get("optional", ()), config["seed"])


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


def _hydra(argv: list[str], folders: list[Path], job: Any) -> int:
    """Hands the command line to Hydra itself: sweeps, completion, --info."""
    import hydra

    from framework.compose import attach

    attach() if "--config-dir" in argv or "-cd" in argv else attach(folders)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and leaving
    kept, sys.argv = sys.argv, [sys.argv[0], *argv]
    try:
        hydra.main(version_base="1.3", config_path=None, config_name="config")(job)()
    finally:
        sys.argv = kept
    return 0


def _sweep(overrides: list[str], config_dir: str | None, folders: list[Path]) -> int:
    """Hydra's own sweep over our jobs; all of a plain sweep's jobs are checked before the first one trains."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from omegaconf import DictConfig

    from framework.compose import attach, compose, finish, open_dictionaries

    overrides = open_dictionaries(overrides, index.load())
    if not any(text.startswith("hydra/sweeper=") for text in overrides):
        try:
            batches = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(overrides), None)
        except HydraException as error:
            raise UserError(str(error).partition("\n")[0]) from error
        for job in batches[0]:
            check_data(compose(job, folders).config)

    def job(config: DictConfig) -> float | None:
        attach(folders)
        hydra = HydraConfig.get()
        composed = finish(config, hydra.runtime.choices, list(hydra.overrides.task))
        return start(composed.config, lambda: new_run(composed))

    flags = ["-m", *(["--config-dir", config_dir] if config_dir else [])]
    return _hydra([*flags, *overrides], folders, job)


def start(config: Mapping[str, Any], open_run: Callable[[], "Run"]) -> float | None:
    """Trains a run in as many processes as its trainer wants. The data is made ready first, so that a mistake in it leaves no
    folder behind; then `open_run` is called, in the one process that decides. Returns what the best checkpoint is best at."""
    from framework.preparing import prepare_data
    from framework.runs import Run

    outside = outside_rank()
    prepared = None if outside and outside[0] else prepare_data(config)
    if outside:
        return _train(_agree(open_run, *outside), prepared)
    run = open_run()
    processes = wanted_processes(config["trainer"])
    if processes == 1:
        return _train(run, prepared)
    spawn(["framework.launch", str(run.folder)], processes)
    return Run.open(run.folder).objective()


def new_run(composed: "Composed") -> "Run":
    from framework.runs import Run

    task = composed.config["task"]["part"].partition("/")[2]
    return Run.create(RUNS, task, composed.config, composed.overrides, composed.chosen)


def resume_or_start(overrides: list[str], folders: list[Path]) -> float | None:
    """`resume=RUN` goes on with a run under its saved config; `resume=auto name=X` starts X if there is none."""
    from framework.compose import compose
    from framework.resume import changed, run_to_resume

    fresh = None
    name = task = None
    if "resume=auto" in overrides:
        fresh = compose([text for text in overrides if text != "resume=auto"], folders)
        task = fresh.config["task"]["part"].partition("/")[2]
        name = next((text.partition("=")[2] for text in overrides if text.startswith("name=")), None)
    run = run_to_resume(overrides, RUNS, name, task)
    if run is None:
        assert fresh is not None
        check_data(fresh.config)
        return start(fresh.config, lambda: new_run(fresh))
    if fresh is not None:  # the same command again: its words are the run's own, and what differs must be allowed
        overrides = [text for text in overrides if text not in run.overrides()]
    config = changed(run, overrides, folders, training=True)
    check_data(config)
    return start(config, lambda: run.go_on(config, overrides))


def _train(run: "Run", prepared: "Prepared | None" = None) -> float | None:
    from framework.run import train

    return train(run, prepared)


def wanted_processes(trainer: Mapping[str, Any]) -> int:
    """Processes on this machine: what `trainer.devices` asks for."""
    devices = trainer.get("devices", 1)
    if isinstance(devices, str) and devices not in ("auto", "-1"):
        devices = int(devices) if devices.isdigit() else devices.split(",")
    if isinstance(devices, (list, tuple)):
        return len(devices)
    if devices in ("auto", "-1", -1):
        if trainer.get("accelerator") == "cpu":
            return 1
        import torch

        return max(1, torch.cuda.device_count())
    return int(devices)


def outside_rank() -> tuple[int, int] | None:
    """(rank, world) where torchrun or SLURM has started the processes; None where we do."""
    if "TORCHELASTIC_RUN_ID" in os.environ or "LOCAL_RANK" in os.environ:
        return int(os.environ.get("RANK", os.environ["LOCAL_RANK"])), int(os.environ["WORLD_SIZE"])
    if "SLURM_PROCID" in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1:
        return int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"])
    return None


def _agree(open_run: Callable[[], "Run"], rank: int, world: int) -> "Run":
    """All ranks in the folder that rank zero decides, passed on through the store they will meet at anyway."""
    from datetime import timedelta

    from torch.distributed import TCPStore

    from framework.runs import Run

    agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    address, port = os.environ.get("MASTER_ADDR", "127.0.0.1"), int(os.environ.get("MASTER_PORT", "29500"))
    # Without an agent nobody serves the port yet; the one above it keeps Lightning's own free.
    store = TCPStore(address, port if agent else port + 1, world, is_master=not agent and rank == 0, timeout=timedelta(minutes=5))
    key = f"plugformer/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    if rank == 0:
        try:
            run = open_run()
        except UserError:
            store.set(key, "")
            raise
        store.set(key, str(run.folder))
    folder = store.get(key).decode()
    if not folder:
        raise SystemExit(2)  # rank zero has said why
    store.add(f"{key}/read", 1)
    while rank == 0 and not agent and store.add(f"{key}/read", 0) < world:
        time.sleep(0.05)  # the store lives in this process: it must outlast the last reader
    return run if rank == 0 else Run.open(Path(folder))


def spawn(module: list[str], processes: int) -> None:
    """Starts `python -m MODULE` as ranks 0..n-1 and waits. One that fails ends the others. UserError: a rank reported one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // processes))  # else they fight over the cores
    world = {"OMP_NUM_THREADS": threads, "WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0"}
    ranks = [
        subprocess.Popen([sys.executable, "-m", *module], env={**os.environ, **world, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(processes)
    ]
    try:
        _wait(ranks)
    except KeyboardInterrupt:
        for process in ranks:  # they got the signal too and save where they stand
            process.wait()
        raise
    finally:
        for process in ranks:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait()


def _wait(ranks: list[subprocess.Popen]) -> None:
    pending = list(ranks)
    while pending:
        for process in list(pending):
            if (code := process.poll()) is None:
                continue
            pending.remove(process)
            if code == 2:
                raise UserError("The run stopped; what was wrong stands above.")
            if code == 130:
                raise KeyboardInterrupt
            if code:
                raise SystemExit(code)
        time.sleep(0.05)


def _rank(folder: str) -> int:
    """What a rank of ours runs: the config is in the folder already."""
    from framework.runs import Run

    try:
        _train(Run.open(Path(folder)))
    except UserError as error:
        if os.environ["RANK"] == "0":
            print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(_rank(sys.argv[1]))
