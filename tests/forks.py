"""Programs in processes of their own, forked from one that has imported what a run imports.

Importing torch and Lightning takes ten times as long as the training of a toy. So one process for all workers of pytest,
`python -m tests.forks`, imports them, and two kinds of programs are its forks:

- `python` runs the text of a program as `python -c` does: other people's packages are imported, the framework and its plugins are not.
- `start` calls a function in a fork of a second process, itself a fork of the first, which has imported the framework and its parts as
  well; the ranks that such a program starts are forks of it.

Each of the two listens at a socket, whose path is in a file of `place`, and ends when nobody is connected any more.

What a test proves about Python's own start, or about what is imported, needs `subprocess`. Gradients are never computed in the processes
that fork: the threads of autograd do not survive.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import types
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any, NoReturn

from filelock import FileLock

ROOT = Path(__file__).parents[1]
TRAIN = "framework.cli.train:main"  # what train.py calls


class Program:
    """A started program, with the methods of `subprocess.Popen`; it leads a session of its own."""

    def __init__(self, server: "Server", pid: int, folder: Path):
        self.server, self.pid, self.folder = server, pid, folder
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self.server.ask({"poll": self.pid})
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
    return _framework().start(function, arguments, variables)


def python(program: str, folder: Path, variables: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Exit code, output and errors of `python -c PROGRAM` in a folder, where the clone is on the path."""
    started = _packages().start("tests.forks:_main", [program], {"PYTHONPATH": str(ROOT), **(variables or {})}, folder)
    out, said = started.communicate(timeout=1200)
    assert started.returncode is not None
    return started.returncode, out, said


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


class Server:
    """A process that forks, as this one sees it: a line of JSON for each question and each answer."""

    process: object = None  # that this one began

    def __init__(self, path: str):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.lines = self.socket.makefile("rw")

    @classmethod
    def of(cls, name: str, begin: Callable[[str], object]) -> "Server":
        """The process of this name, which another worker may have begun. begin: starts one that listens at a path."""
        address = place() / f"{name}.address"
        with FileLock(place() / f"{name}.lock"):
            with contextlib.suppress(OSError):  # there is none, or it has ended
                return cls(address.read_text())
            path = f"{tempfile.mkdtemp(prefix='plugformer-forks-')}/{name}"
            process = begin(path)
            deadline = time.monotonic() + 300
            while True:
                try:
                    server = cls(path)
                    break
                except OSError:
                    assert time.monotonic() < deadline, f"{name} does not listen"
                    time.sleep(0.01)
            address.write_text(path)
            server.process = process
            return server

    def ask(self, question: dict[str, Any]) -> Any:
        self.lines.write(f"{json.dumps(question)}\n")
        self.lines.flush()
        return json.loads(self.lines.readline())

    def start(self, function: str, arguments: Sequence[str], variables: Mapping[str, str] | None, here: Path | None = None) -> Program:
        folder = Path(tempfile.mkdtemp(prefix="plugformer-forks-"))
        environment = {**os.environ, **(variables or {})}
        environment.pop("WANDB_SERVICE", None)  # of this process, which outlives the other
        order = {"function": function, "arguments": list(arguments), "folder": str(here or Path.cwd()), "environment": environment}
        return Program(self, self.ask({"start": {**order, "output": str(folder)}}), folder)


@cache
def place() -> Path:
    """A folder that all workers share."""
    return Path(os.environ.get("PLUGFORMER_FORKS") or tempfile.mkdtemp(prefix="plugformer-forks-"))


@cache
def _packages() -> Server:
    """The process that has imported other people's packages."""
    command = [sys.executable, "-m", "tests.forks"]
    return Server.of(
        "packages", lambda path: subprocess.Popen([*command, path], cwd=ROOT, stdin=subprocess.DEVNULL, start_new_session=True)
    )


@cache
def _framework() -> Server:
    """The process that has imported the framework as well."""
    start = _packages().start
    return Server.of("framework", lambda path: start("tests.forks:_serve_framework", [path], {"PYTHONPATH": str(ROOT)}, ROOT))


# -- in the process that forks, and in its forks --


def serve(listener: socket.socket) -> None:
    """Answers whoever is connected, until nobody is."""
    connected: dict[socket.socket, IO[str]] = {}

    def run(order: dict[str, Any]) -> int:
        for each in (listener, *connected.values(), *connected):  # a program does not keep them open
            each.close()
        return _run(**order)

    while True:
        for ready in select.select([listener, *connected], [], [])[0]:
            if ready is listener:
                connection, _ = listener.accept()
                connected[connection] = connection.makefile("rw")
                continue
            lines = connected[ready]
            match json.loads(lines.readline() or "null"):
                case {"start": order}:
                    answer: int | None = fork(lambda order=order: run(order))
                case {"poll": pid}:
                    done, status = os.waitpid(pid, os.WNOHANG)
                    answer = os.waitstatus_to_exitcode(status) if done else None
                case None:
                    del connected[ready]
                    if not connected:
                        return
                    continue
            lines.write(f"{json.dumps(answer)}\n")
            lines.flush()


def _serve_packages(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        import pytorch_lightning  # noqa: F401
        import torch
        import wandb  # noqa: F401

        torch.set_num_threads(1)
        gc.freeze()  # what is imported: the forks share its pages, and their garbage collectors do not look at it
        serve(listener)


def _serve_framework(words: Sequence[str]) -> int:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(words[0])
        listener.listen()
        _preload()
        gc.freeze()
        serve(listener)
    return 0


def _preload() -> None:
    import framework.workflows.processes
    import framework.workflows.train  # noqa: F401
    import tests.training.toys  # noqa: F401
    from framework import registry
    from framework.config import catalogue
    from framework.workflows.start import compose_run

    for kind, names in catalogue.load().options.items():
        for name in names:
            registry.get(f"{kind}/{name}")
    compose_run([])


def _main(words: Sequence[str]) -> int:
    """Runs the text of a program as the main module."""
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    sys.argv, sys.path[:] = ["-c"], ["", str(ROOT), *(place for place in sys.path if place != str(ROOT))]
    importlib.invalidate_caches()
    try:
        exec(compile(words[0], "<string>", "exec"), vars(main))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return 0


def _run(function: str, arguments: list[str], folder: str, environment: dict[str, str], output: str) -> int:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with open(os.devnull) as nothing, open(f"{output}/out", "a") as out, open(f"{output}/err", "a") as errors:
        for number, file in enumerate((nothing, out, errors)):
            os.dup2(file.fileno(), number)
    # the objects that these replace, in a fork of a fork, must not close the descriptors when they are collected
    sys.stdin = open(0, closefd=False)
    sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if "framework" in sys.modules:
        from framework.workflows import spawning

        spawning.subprocess = Ranks()  # type: ignore[assignment]
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)(arguments)


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
    _serve_packages(sys.argv[1])
