"""Training in as many processes as the trainer asks for: this one, ranks started here, or ranks started by torchrun or SLURM.

One process decides the folder of the run; every rank then reads the explicit config from that folder (`python -m
framework.workflows.processes FOLDER`). Lightning's strategies find the ranks started already.
"""

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from framework.errors import UserError
from framework.runs.folder import Run
from framework.training.interruption import Interrupted, interruption
from framework.workflows.start import Start

_launched = itertools.count()  # runs of this process: under torchrun the jobs of a sweep meet at different keys


def launch(start: Start) -> tuple[Run, float | None]:
    """Trains a run. Returns it with the metric that its best checkpoint was chosen by.

    The data is encoded before the folder is made, so that a mistake in the data leaves no folder behind.
    """
    if rank_and_world := outside_rank():
        start = start if rank_and_world[0] else start.prepare()
        return _train(_in_shared_folder(start, *rank_and_world))
    processes = wanted_processes(start.config["trainer"])
    start = start.prepare().open_folder(processes)
    assert start.run is not None
    if processes == 1:
        return _train(start)
    spawn(["framework.workflows.processes", str(start.run.folder)], processes)
    return start.run, start.run.objective()


def _train(start: Start) -> tuple[Run, float | None]:
    from framework.workflows.train import train

    assert start.run is not None
    with interruption.of_run(start.run.folder, start.run.last):
        return start.run, train(start)


def wanted_processes(trainer: Mapping[str, Any]) -> int:
    """Processes on this machine, by `trainer.devices`."""
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
    """(rank, world size) if torchrun or SLURM started the processes; None if this program starts them."""
    if "WORLD_SIZE" in os.environ and "LOCAL_RANK" in os.environ:  # Lightning leaves LOCAL_RANK alone behind
        return int(os.environ.get("RANK", os.environ["LOCAL_RANK"])), int(os.environ["WORLD_SIZE"])
    if "SLURM_PROCID" in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1:
        return int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"])
    return None


def _in_shared_folder(start: Start, rank: int, world: int) -> Start:
    """The start in the folder that rank zero makes, whose name the ranks exchange through torch's key/value store."""
    from datetime import timedelta

    from torch.distributed import TCPStore

    agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    address, port = os.environ.get("MASTER_ADDR", "127.0.0.1"), int(os.environ.get("MASTER_PORT", "29500"))
    # Without an agent nothing serves the port yet; the port above it leaves Lightning's own free.
    store = TCPStore(address, port if agent else port + 1, world, is_master=not agent and rank == 0, timeout=timedelta(minutes=5))
    key = f"plugformer/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}/{next(_launched)}"
    if rank == 0:
        try:
            start = start.open_folder(world)
        except UserError:
            store.set(key, "")
            raise
        assert start.run is not None
        store.set(key, str(start.run.folder))
    folder = store.get(key).decode()
    if not folder:
        raise SystemExit(2)  # rank zero printed the reason
    store.add(f"{key}/read", 1)
    while rank == 0 and not agent and store.add(f"{key}/read", 0) < world:
        time.sleep(0.05)  # the store is served by this process and must outlive the last reader
    return start if rank == 0 else start.in_folder(Run.open(Path(folder)))


def spawn(module: list[str], processes: int) -> None:
    """Starts `python -m MODULE` as ranks 0..n-1 and waits for them. If one fails, the others are ended. UserError: a rank reported one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // processes))  # ranks must not compete for cores
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes), "NODE_RANK": "0"}
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH"))))  # train.py may be elsewhere
    environment = {**os.environ, **meeting, "OMP_NUM_THREADS": threads, "PYTHONPATH": path}
    ranks = [
        subprocess.Popen([sys.executable, "-m", *module], env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(processes)
    ]
    try:
        _wait(ranks)
    except Interrupted as interrupted:
        if interrupted.told:  # by a rank
            raise
        for process in ranks:
            if interrupted.signal != signal.SIGINT and process.poll() is None:  # Ctrl-C reached them too
                process.send_signal(interrupted.signal)
        interrupted.told = True
        for process in ranks:
            process.wait()
        raise
    finally:
        for process in ranks:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait()


def _wait(ranks: list[subprocess.Popen]) -> None:
    codes: list[int | None] = [None]
    while None in codes:
        time.sleep(0.05)
        codes = [process.poll() for process in ranks]
        failed = next((code for code in codes if code), None)
        if failed == 2:
            raise UserError("The run stopped; the reason is printed above.")
        if failed and (interrupted := Interrupted.of_code(failed)):
            raise interrupted
        if failed:
            raise SystemExit(failed)


def _rank(folder: str) -> int:
    """One rank of a run whose config is in its folder. Returns the exit code."""
    try:
        with interruption.watched():
            _train(Start.of_run(Run.open(Path(folder))))
    except (UserError, Interrupted) as error:
        if os.environ["RANK"] == "0":
            print(error, file=sys.stderr)
        return 2 if isinstance(error, UserError) else int(error.code or 0)
    return 0


if __name__ == "__main__":
    sys.exit(_rank(sys.argv[1]))
