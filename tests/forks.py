"""Programs in processes of their own, forked from one that has imported what a run imports.

Importing torch and Lightning takes ten times as long as the training of a toy. So `start` has `python -m tests.forks`, one for each process
of tests, fork a child for each program; the ranks that a child starts are forks of it. What a test proves about Python's own start needs
`subprocess`. Gradients are never computed in the process that forks: the threads of autograd do not survive.
"""

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[1]
TRAIN = "framework.cli.train:main"  # what train.py calls


class Program:
    """A started program, with the methods of `subprocess.Popen`; it leads a session of its own."""

    def __init__(self, pid: int, folder: Path):
        self.pid, self.folder = pid, folder
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = _ask({"poll": self.pid})
        return self.returncode

    def communicate(self, timeout: float = 300) -> tuple[str, str]:
        """What it and its ranks wrote to standard output and standard error, once all have ended."""
        deadline = time.monotonic() + timeout
        while self.poll() is None or _is_there(self.pid):
            if time.monotonic() > deadline:
                os.killpg(self.pid, signal.SIGKILL)
                raise TimeoutError(self.said())
            time.sleep(0.01)
        return (self.folder / "out").read_text(), self.said()

    def said(self) -> str:
        return (self.folder / "err").read_text()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


def start(function: str, arguments: Sequence[str], variables: Mapping[str, str] | None = None) -> Program:
    """Starts `MODULE:FUNCTION`, which takes words and returns an exit code, in the current folder. variables: of its environment."""
    folder = Path(tempfile.mkdtemp(prefix="plugformer-forks-"))
    environment = {**os.environ, **(variables or {})}
    environment.pop("WANDB_SERVICE", None)  # of this process, which outlives the other
    order = {"function": function, "arguments": list(arguments), "folder": os.getcwd(), "environment": environment, "output": str(folder)}
    return Program(_ask({"start": order}), folder)


def run(function: str, arguments: Sequence[str], variables: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Exit code, output and errors of a program."""
    program = start(function, arguments, variables)
    out, said = program.communicate()
    assert program.returncode is not None
    return program.returncode, out, said


def train(*words: str) -> Path:
    """Runs `python train.py WORDS`, which must succeed. Returns the folder of the newest run."""
    code, out, said = run(TRAIN, words)
    assert code == 0, out + said
    return Path("runs/last").resolve()


def _is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@cache
def _server() -> subprocess.Popen[str]:
    server = subprocess.Popen([sys.executable, "-m", "tests.forks"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.communicate)
    return server


def _ask(question: dict[str, Any]) -> Any:
    server = _server()
    assert server.stdin and server.stdout
    server.stdin.write(f"{json.dumps(question)}\n")
    server.stdin.flush()
    return json.loads(server.stdout.readline())


# -- in the process that forks, and in its forks --


def serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _preload()
    for line in sys.stdin:
        match json.loads(line):
            case {"start": order}:
                answer: int | None = fork(lambda order=order: _run(**order))
            case {"poll": pid}:
                done, status = os.waitpid(pid, os.WNOHANG)
                answer = os.waitstatus_to_exitcode(status) if done else None
        answers.write(f"{json.dumps(answer)}\n")
        answers.flush()


def _preload() -> None:
    import torch
    import wandb  # noqa: F401

    import framework.workflows.processes
    import framework.workflows.train  # noqa: F401
    import tests.training.toys  # noqa: F401
    from framework import registry
    from framework.config import catalogue
    from framework.workflows.start import compose_run

    torch.set_num_threads(1)
    for kind, names in catalogue.load().options.items():
        for name in names:
            registry.get(f"{kind}/{name}")
    compose_run([])


def _run(function: str, arguments: list[str], folder: str, environment: dict[str, str], output: str) -> int:
    from framework.workflows import spawning

    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with open(os.devnull) as nothing, open(f"{output}/out", "a") as out, open(f"{output}/err", "a") as errors:
        for number, file in enumerate((nothing, out, errors)):
            os.dup2(file.fileno(), number)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w", buffering=1), open(2, "w", buffering=1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    spawning.subprocess = Ranks()  # type: ignore[assignment]
    module, _, name = function.partition(":")
    return getattr(import_module(module), name)(arguments)


class Ranks:
    """In the place of the module `subprocess`: ranks as forks of the process that starts them."""

    DEVNULL, PIPE, STDOUT = -3, -1, -2

    def Popen(self, command: Sequence[str], env: Mapping[str, str], **_: Any) -> "Rank":  # noqa: N802
        return Rank(lambda: self.main(command, env))

    def main(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """The rank that a command starts in an environment."""
        from framework.training.interruption import Interruption, interruption
        from framework.workflows import processes

        vars(interruption).update(vars(Interruption()))  # signals are those of this process, not of the one that it is a fork of
        os.environ.clear()
        os.environ.update(environment)
        return processes.rank(*command[-3:])  # folder, parent, report


class Rank:
    """One rank, with the methods of `subprocess.Popen`."""

    def __init__(self, main: Callable[[], int]):
        self.returncode: int | None = None
        self.pid = fork(main)

    def poll(self) -> int | None:
        if self.returncode is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if done else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        while self.poll() is None:
            time.sleep(0.01)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def fork(main: Callable[[], int]) -> int:
    """The number of a process that ends with the exit code of a function."""
    sys.stdout.flush()
    sys.stderr.flush()
    if not (child := os.fork()):
        exit_with(main)
    return child


def exit_with(main: Callable[[], int]) -> NoReturn:
    """Ends a fork with the exit code of a function; 1 and a traceback if it raises."""
    code = 1
    try:
        code = main()
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
