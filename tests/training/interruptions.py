"""Series of interruptions: a run is stopped at counted events in forked processes, resumed, and compared with one that was not stopped.

An event is a call of a hook of Lightning, or a system call that makes, replaces, removes or synchronizes a file of the run. Processes are
forked from one that has imported everything, so that an attempt costs what its training costs. Fork before torch has computed a gradient:
its threads do not survive.
"""

import csv
import json
import os
import pickle
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests import forks

SIGNALS = {"kill -9": signal.SIGKILL, "Ctrl-C": signal.SIGINT, "SIGTERM": signal.SIGTERM}
WORDS = (
    "task=classification tokenizer=bytes data.limit=24 data/batches=rows data.batches.rows=4 model.dim=8 model.num_heads=2 "
    "model.max_length=32 model.dropout=0.2 optimizer.lr=0.003 task.baseline=false trainer=cpu trainer.limit_test_batches=1"
).split()  # six batches an epoch
_WRITING = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.truncate"}


@dataclass(frozen=True)
class Interruption:
    """Sent before the event of this number. actor: of several processes the one that counts."""

    how: str
    event: int
    actor: int = 0


@dataclass
class Series:
    """One run: its overrides, and what interrupts its attempts, one after the other; the last attempt is not interrupted."""

    words: list[str]
    interruptions: list[Interruption] = field(default_factory=list)
    processes: int = 1


_composed: dict[tuple[str, ...], bytes] = {}  # overrides -> what they compose to, of all attempts of a series


def preload() -> None:
    """Imports what a run imports, so that forks need not."""
    import torch

    import framework.workflows.processes
    import framework.workflows.train  # noqa: F401
    from framework.workflows.start import Start

    torch.set_num_threads(1)
    Start.of(WORDS)


def compose_once(words: Sequence[str]) -> None:
    from framework.workflows import start

    _composed[tuple(words)] = pickle.dumps(start.compose_run(words))


def attempt(words: Sequence[str], folder: Path, interruption: Interruption | None = None, processes: int = 1, log: str = "log") -> int:
    """Runs `train.py WORDS` in a fork, in a folder. Returns its exit code, negative for a signal; its output is in a file of the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    child = forks.fork(lambda: _child(words, folder, interruption, processes, log))
    deadline = time.monotonic() + 300
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            with_remains = processes > 1 and _end_group(child)
            return os.waitstatus_to_exitcode(status) if not with_remains else 99
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return 98
        time.sleep(0.005)


def _end_group(group: int) -> bool:
    """Whether processes of a group are left a while after its first has ended; they are ended."""
    for _ in range(2000):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.005)
    os.killpg(group, signal.SIGKILL)
    return True


def _child(words: Sequence[str], folder: Path, interruption: Interruption | None, processes: int, log: str) -> int:
    os.setsid()
    os.chdir(folder)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout, sys.stderr = (os.fdopen(os.dup(number), "w", buffering=1) for number in (1, 2))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    counter = Counter(interruption, to_all=processes > 1)
    counter.watch()
    if processes > 1:
        from framework.workflows import spawning

        spawning.subprocess = _CountedRanks(counter)  # type: ignore[assignment]
    from framework.cli.train import main
    from framework.workflows import start

    compose = start.compose_run
    start.compose_run = lambda words, *more: pickle.loads(known) if (known := _composed.get(tuple(words))) else compose(words, *more)  # noqa: S301
    code = main(words)
    if processes == 1:
        counter.report(folder)
    return code


class Counter:
    """Counts the events of this process, and sends the signal of an interruption before the one of its number."""

    def __init__(self, interruption: Interruption | None, to_all: bool, actor: int = 0):
        self.interruption, self.to_all, self.actor, self.count = interruption, to_all, actor, 0

    def event(self) -> None:
        self.count += 1
        wanted = self.interruption
        if wanted is not None and self.actor == wanted.actor and self.count == wanted.event:
            number = SIGNALS[wanted.how]
            if self.to_all:
                os.killpg(0, number)
            else:
                os.kill(os.getpid(), number)
            if number == signal.SIGKILL:
                time.sleep(60)

    def watch(self) -> None:
        """Counts from now on; once for each process."""
        from pytorch_lightning.trainer import call

        cache = os.environ.get("PLUGFORMER_CACHE", "/none")

        def audit(name: str, arguments: tuple[Any, ...]) -> None:
            written = name == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if (written or name in _WRITING) and not str(arguments[0]).startswith((cache, "/dev", "/proc")):
                self.event()

        sys.addaudithook(audit)
        os.fsync = self._counted(os.fsync)
        call._call_callback_hooks = self._counted(call._call_callback_hooks)
        call._call_lightning_module_hook = self._counted(call._call_lightning_module_hook)

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **keywords: Any) -> Any:
            self.event()
            return function(*arguments, **keywords)

        return counted

    def report(self, folder: Path) -> None:
        (folder / "events").write_text(str(self.count))


class _CountedRanks(forks.Ranks):
    """Ranks whose events are counted."""

    def __init__(self, counter: Counter):
        self.counter = counter

    def Popen(self, command: Sequence[str], env: Mapping[str, str], **_: Any) -> forks.Rank:  # noqa: N802
        self.counter.actor = -1  # the process that starts ranks only waits
        return super().Popen(command, env)

    def main(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        self.counter.actor, self.counter.count = int(environment["RANK"]), 0
        code = super().main(command, environment)
        if self.counter.actor == 0:
            self.counter.report(Path())
        return code


# -- comparing --


def run_folder(folder: Path) -> Path | None:
    """The only run in a folder."""
    found = [path.parent for path in folder.glob("runs/*/*/config.yaml")]
    return found[0] if len(found) == 1 else None


def differences(whole: Path, cut: Path) -> list[str]:
    """Differences between two finished runs, to the bit; empty if there are none."""
    found = checkpoint_differences(whole, cut)
    one, other = (json.loads((run / "metrics.json").read_text()) for run in (whole, cut))
    if one != other:
        found.append("metrics.json")
    if (whole / "predictions.jsonl").read_bytes() != (cut / "predictions.jsonl").read_bytes():
        found.append("predictions")
    one, other = logged(whole), logged(cut)
    if one != other:
        missing, more = [row for row in one if row not in other], [row for row in other if row not in one]
        found.append(f"metrics.csv: without {missing[:2]}, with {more[:2]}, {len(other)} rows, not {len(one)}")
    return found


def checkpoint_differences(whole: Path, cut: Path) -> list[str]:
    """Differences between the checkpoints of two runs."""
    found = []
    for name in ("last", "best"):
        files = [run / "checkpoints" / f"{name}.ckpt" for run in (whole, cut)]
        if not all(file.exists() for file in files):
            found += [f"{name}: not in {file.parent}" for file in files if not file.exists()]
            continue
        one, other = map(_checkpoint, files)
        if one["global_step"] != other["global_step"]:
            found.append(f"{name}: {other['global_step']} steps, not {one['global_step']}")
        for key in ("state_dict", "current_model_state", "averaging_state", "optimizer_states", "lr_schedulers", "callbacks"):
            if not same(one.get(key), other.get(key)):
                found.append(f"{name}: {key}")
    return found


def _checkpoint(path: Path) -> dict[str, Any]:
    import torch

    return torch.load(path, weights_only=True)


def same(one: Any, other: Any) -> bool:
    """Whether two values of a checkpoint are equal, to the bit."""
    import torch

    if isinstance(one, torch.Tensor) or isinstance(other, torch.Tensor):
        return isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, Mapping):
        return isinstance(other, Mapping) and list(one) == list(other) and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)):
        return isinstance(other, (list, tuple)) and len(one) == len(other) and all(map(same, one, other))
    return one == other or (one != one and other != other)


def logged(run: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv, without times and the memory of the process."""
    with open(run / "metrics.csv", newline="") as file:
        rows = [
            {name: value for name, value in row.items() if value and not re.search("second|memory", name)} for row in csv.DictReader(file)
        ]
    return sorted(rows, key=lambda row: (int(row["step"]), sorted(row.items())))


# -- series --

AVERAGES = [
    "",
    "",
    "callbacks.average_last.last=2",
    "callbacks.average_last.last=3 callbacks.average_last.every=3",
    "callbacks.average.decay=0.8",
]
STOPS = ["", "", "callbacks.early_stopping.patience=1"]
ACCUMULATIONS = ["", "", "", "trainer.accumulate_grad_batches=3"]
ENDS = [
    *3 * ["trainer.max_epochs=3"],
    "trainer.max_epochs=-1 trainer.max_steps=15",
    "trainer.max_epochs=null trainer.min_steps=14",
]
NO_VALIDATION = "trainer.limit_val_batches=0"
VALIDATIONS = [
    *3 * [""],
    "trainer.val_check_interval=0.5",
    "trainer.val_check_interval=3",
    "trainer.check_val_every_n_epoch=2",
    "trainer.check_val_every_n_epoch=null trainer.val_check_interval=5",
    NO_VALIDATION,
]


def draw(seed: int, hows: Sequence[str], processes: int = 1) -> Series:
    """A random series. The events of its interruptions are drawn later, when the number of events of the whole run is known."""
    random = Random(f"series {seed}")
    every = random.choice([None, 1, 2, 3, 4, 5, 6, 7])
    validation = random.choice(VALIDATIONS)
    words = [f"callbacks.checkpoint.every_n_train_steps={'null' if every is None else every} trainer.log_every_n_steps=3"]
    words += [random.choice(AVERAGES), random.choice(ACCUMULATIONS), random.choice(ENDS), validation]
    if validation != NO_VALIDATION:
        words += ["trainer.limit_val_batches=3", random.choice(STOPS)]
    words = [*WORDS, *" ".join([*words, f"seed={seed % 5}", "trainer=ddp" * (processes > 1)]).split()]
    interruptions = [Interruption(random.choice(hows), 0, random.randrange(processes)) for _ in range(random.randint(1, 3))]
    return Series(words, interruptions, processes)


def run(series: Series, folder: Path, seed: int) -> tuple[list[str], list[str]]:
    """Outcomes of the attempts of a series, and differences from the whole run at its end."""
    random = Random(f"events {seed}")
    words = [*series.words, "name=x"]
    compose_once(words)
    if attempt(words, folder / "whole", processes=series.processes):
        return ["whole"], [f"the whole run failed: {_tail(folder / 'whole' / 'log')}"]
    events = int((folder / "whole" / "events").read_text())
    happened, left = [], events
    words += ["resume=auto"]
    for interruption in [*series.interruptions, None]:
        if interruption is not None:
            interruption = Interruption(interruption.how, random.randint(1, max(1, left)), interruption.actor)
            left = max(40, left - int(0.8 * interruption.event))
        code = attempt(words, folder / "cut", interruption, series.processes)
        happened.append(f"{interruption.how} at {interruption.event} of {events}: {code}" if interruption else f"end: {code}")
        if code == 0:
            break
        stopped = interruption is not None and interruption.how != "kill -9"  # by whatever exit code
        if code in (98, 99) or (code in (1, 2) and not stopped):
            return happened, [f"exit code {code}: {_tail(folder / 'cut' / 'log')}"]
    if code:
        return happened, [f"exit code {code}: {_tail(folder / 'cut' / 'log')}"]
    one, other = run_folder(folder / "whole"), run_folder(folder / "cut")
    if one is None or other is None:
        return happened, ["more than one folder of a run"]
    return happened, differences(one, other)


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return " | ".join(lines[-3:])[-400:]
