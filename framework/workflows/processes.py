"""A run in as many processes as its trainer wants: this one, several of our own, or those of torchrun or SLURM.

One process decides the run's folder; every rank then reads the explicit config from that folder (`python -m framework.workflows.processes
FOLDER`). Lightning's strategies do the rest: they find the ranks already started.
"""

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.errors import UserError

if TYPE_CHECKING:
    from framework.data.module import Prepared
    from framework.runs.folder import Run

_runs = itertools.count()  # that this process has trained: the jobs of a sweep under torchrun are told apart


def start(config: Mapping[str, Any], open_run: Callable[[], "Run"], folder: Path | None = None) -> float | None:
    """Trains a run in as many processes as its trainer wants. The data is made ready first, so that a mistake in it leaves no
    folder behind; then `open_run` is called, in the one process that decides. Returns what the best checkpoint is best at.

    folder: of a run that goes on with its own tokenizer and data spec.
    """
    from framework.runs.data import prepare_data
    from framework.runs.folder import Run

    outside = outside_rank()
    prepared = None if outside and outside[0] else prepare_data(config, folder)
    if outside:
        return _train(_agree(open_run, *outside), prepared)
    run = open_run()
    processes = wanted_processes(config["trainer"])
    if processes == 1:
        return _train(run, prepared)
    spawn(["framework.workflows.processes", str(run.folder)], processes)
    return Run.open(run.folder).objective()


def _train(run: "Run", prepared: "Prepared | None" = None) -> float | None:
    from framework.workflows.train import train

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
    if "WORLD_SIZE" in os.environ and "LOCAL_RANK" in os.environ:  # LOCAL_RANK alone is what Lightning leaves behind
        return int(os.environ.get("RANK", os.environ["LOCAL_RANK"])), int(os.environ["WORLD_SIZE"])
    if "SLURM_PROCID" in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1:
        return int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"])
    return None


def _agree(open_run: Callable[[], "Run"], rank: int, world: int) -> "Run":
    """All ranks in the folder that rank zero decides, passed on through the store they will meet at anyway."""
    from datetime import timedelta

    from torch.distributed import TCPStore

    from framework.runs.folder import Run

    agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    address, port = os.environ.get("MASTER_ADDR", "127.0.0.1"), int(os.environ.get("MASTER_PORT", "29500"))
    # Without an agent nobody serves the port yet; the one above it keeps Lightning's own free.
    store = TCPStore(address, port if agent else port + 1, world, is_master=not agent and rank == 0, timeout=timedelta(minutes=5))
    key = f"plugformer/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}/{next(_runs)}"
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
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes), "NODE_RANK": "0"}
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))  # train.py may lie elsewhere
    around = {**os.environ, **meeting, "OMP_NUM_THREADS": threads, "PYTHONPATH": path}
    ranks = [
        subprocess.Popen([sys.executable, "-m", *module], env={**around, "RANK": str(rank), "LOCAL_RANK": str(rank)})
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
    from framework.runs.folder import Run

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
