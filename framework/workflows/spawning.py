"""Ranks as processes of their own: how they are started, waited for, and ended.

A rank finds modules where this process does, whatever lies in the current folder. Signals are passed on to the ranks, which save and stop;
a rank whose parent has died stops as by SIGTERM. What a rank has to say to the user it writes into a file, and the parent tells it.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from framework.errors import RankFailed, UserError
from framework.training.interruption import Interrupted, interruption
from framework.utils.ranks import OWN, without_ranks

SAVING = 300.0  # seconds for the ranks to save and stop after a signal
ENDING = 10.0  # seconds for the other ranks to notice that one has failed
_CODE = """import json, sys
sys.path[:] = json.loads(sys.argv.pop(1))
from framework.workflows.processes import rank
sys.exit(rank(*sys.argv[1:]))"""


def spawn(folder: Path, processes: int) -> None:
    """Trains the run in a folder in so many ranks on this machine, and waits for them. If one fails, the others are ended.

    UserError: a rank reported one. Interrupted: a signal came. RankFailed: a rank failed otherwise; its output says why.
    """
    ranks: list[subprocess.Popen] = []
    with tempfile.TemporaryDirectory(prefix="plugformer-ranks-") as reports, interruption.held():
        try:
            for command, environment in zip(*_ranks(folder, processes, Path(reports)), strict=True):
                ranks.append(subprocess.Popen(command, env=environment))
            first = _wait(ranks)
        finally:
            for process in ranks:
                if process.poll() is None:
                    process.kill()
                process.wait()
        _judge([process.returncode for process in ranks], first, Path(reports))


def _ranks(folder: Path, processes: int, reports: Path) -> tuple[list[list[str]], list[dict[str, str]]]:
    """Command and environment of each rank."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // processes))  # ranks must not compete for cores
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes), "NODE_RANK": "0", OWN: "1"}
    environment = {**without_ranks(os.environ), **meeting, "OMP_NUM_THREADS": threads}
    # -P: neither the current folder nor that of a script; the path is this process's own. faulthandler: a crash leaves a trace.
    command = [sys.executable, "-P", "-X", "faulthandler", "-c", _CODE, json.dumps(sys.path), str(folder), str(os.getpid())]
    numbers = [str(number) for number in range(processes)]
    return [[*command, str(reports / number)] for number in numbers], [
        {**environment, "RANK": number, "LOCAL_RANK": number} for number in numbers
    ]


def _wait(ranks: Sequence[subprocess.Popen]) -> int | None:
    """Waits until all have ended, or the time to end is over for those that are left, after a signal, which is passed on, or after one has
    failed. Returns the first that failed."""
    failed = passed = None
    deadline = float("inf")
    while any(process.poll() is None for process in ranks) and time.monotonic() < deadline:
        failed = next((number for number, process in enumerate(ranks) if process.poll()), None) if failed is None else failed
        if interruption.received and not passed:
            # Ctrl-C reached all processes of the terminal, and a second SIGINT would not let them save: SIGTERM adds nothing to it.
            passed = signal.SIGTERM if interruption.received == signal.SIGINT else interruption.received
            deadline = time.monotonic() + SAVING
            for process in ranks:
                process.send_signal(passed)
        elif failed is not None:
            deadline = min(deadline, time.monotonic() + ENDING)
        time.sleep(0.05)
    return next((number for number, process in enumerate(ranks) if process.poll()), None) if failed is None else failed


def _judge(codes: Sequence[int], first: int | None, reports: Path) -> None:
    """Raises what the exit codes of the ranks mean, with what a rank had to say. first: the rank that failed first."""
    told = [(number, path.read_text(encoding="utf-8")) for number in range(len(codes)) if (path := reports / str(number)).exists()]
    said = told[0][1] if told else ""
    stopped = [found for code in codes if (found := Interrupted.of_code(code))]
    number = interruption.received or (stopped[0].signal if stopped else None)
    bad = [rank for rank, code in enumerate(codes) if code and not Interrupted.of_code(code)]
    if any(codes[rank] == 2 for rank in bad) and said:
        raise UserError(said if told[0][0] == 0 else f"rank {told[0][0]}: {said}")
    if number and all(codes[rank] == -signal.SIGKILL for rank in bad):  # by us, for want of an end
        had = "the run had ended" if not any(codes) else "the ranks did not say what they saved"
        raise Interrupted(number, said or f"Stopped by {Interrupted(number).name}; {had}")
    if bad:
        rank = first if first in bad else bad[0]
        code = codes[rank]
        raise RankFailed(f"rank {rank} of {len(codes)} {_how(code)}; its output is above", 128 - code if code < 0 else code)


def _how(code: int) -> str:
    if code > 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name
    memory = " (the system does that when memory is short)" if name == "SIGKILL" else ""
    return f"was ended by {name}{memory}"


@cache
def watch_parent(parent: int) -> None:
    """Ends this process, as SIGTERM does, when its parent has died; by force if it has not ended some time later."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        with contextlib.suppress(OSError):
            os.write(2, b"\nThe process that started this rank has died.\n")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(SAVING)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
