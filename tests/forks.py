"""Programs in processes of their own, forked from one that has imported what a run imports.

Importing torch and Lightning takes ten times as long as the training of a toy. So one process for each process of tests,
`python -m tests.forks`, imports them, and two kinds of programs are its forks:

- `python` runs the text of a program as `python -c` does: other people's packages are imported, the framework and its plugins are not.
- `start` calls a function in a fork of a second process, itself a fork of the first, which has imported the framework and its parts as
  well; the ranks that such a program starts are forks of it.

What a test proves about Python's own start, or about what is imported, needs `subprocess`. Gradients are never computed in the processes
that fork: the threads of autograd do not survive.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any, NoReturn

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

    def __init__(self, questions: IO[str], answers: IO[str]):
        self.questions, self.answers = questions, answers

    def ask(self, question: dict[str, Any]) -> Any:
        self.questions.write(f"{json.dumps(question)}\n")
        self.questions.flush()
        return json.loads(self.answers.readline())

    def start(self, function: str, arguments: Sequence[str], variables: Mapping[str, str] | None, here: Path | None = None) -> Program:
        folder = Path(tempfile.mkdtemp(prefix="plugformer-forks-"))
        environment = {**os.environ, **(variables or {})}
        environment.pop("WANDB_SERVICE", None)  # of this process, which outlives the other
        order = {"function": function, "arguments": list(arguments), "folder": str(here or Path.cwd()), "environment": environment}
        return Program(self, self.ask({"start": {**order, "output": str(folder)}}), folder)


@cache
def _packages() -> Server:
    """The process that has imported other people's packages."""
    server = subprocess.Popen([sys.executable, "-m", "tests.forks"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.communicate)
    assert server.stdin and server.stdout
    return Server(server.stdin, server.stdout)


@cache
def _framework() -> Server:
    """The process that has imported the framework as well."""
    pipes = [Path(tempfile.mkdtemp(prefix="plugformer-forks-")) / name for name in ("questions", "answers")]
    for pipe in pipes:
        os.mkfifo(pipe)
    _packages().start("tests.forks:_serve_framework", list(map(str, pipes)), {"PYTHONPATH": str(ROOT)}, ROOT)
    server = Server(pipes[0].open("w"), pipes[1].open())
    atexit.register(server.questions.close)
    return server


# -- in the process that forks, and in its forks --


def serve(questions: Iterable[str], answers: IO[str]) -> None:
    for line in questions:
        match json.loads(line):
            case {"start": order}:
                answer: int | None = fork(lambda order=order: _run(**order))
            case {"poll": pid}:
                done, status = os.waitpid(pid, os.WNOHANG)
                answer = os.waitstatus_to_exitcode(status) if done else None
        answers.write(f"{json.dumps(answer)}\n")
        answers.flush()


def _serve_packages() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import pytorch_lightning  # noqa: F401
    import torch
    import wandb  # noqa: F401

    torch.set_num_threads(1)
    gc.freeze()  # what is imported: the forks share its pages, and their garbage collectors do not look at it
    serve(sys.stdin, answers)


def _serve_framework(pipes: Sequence[str]) -> int:
    with open(pipes[0]) as questions, open(pipes[1], "w") as answers:
        _preload()
        gc.freeze()
        serve(questions, answers)
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
    _serve_packages()
