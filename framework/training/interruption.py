"""Signals that end a run before its time: Ctrl-C (SIGINT), SIGTERM of a scheduler, SIGUSR1, a scheduler's warning of its time limit, and
SIGHUP, a terminal that is closed.

In training a signal is remembered and asked for at the end of each optimizer step, where all ranks save and stop together. At any other
time it stops the run at once: there is nothing then that is not saved already.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from framework.utils.ranks import ranks

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from framework.training.host_copy import HostCopy

REQUEUE = 99  # exit code after SIGUSR1: Grid Engine queues such a job again by itself, LSF with REQUEUE_EXIT_VALUES, SLURM with RequeueExit
WORKER_SECONDS = 30  # of a worker of a data loader, from SIGTERM to its end
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP") if hasattr(signal, name))


class Interrupted(SystemExit):
    """The end of a run by a signal. Its `code` is the exit code: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP, 99 for SIGUSR1.

    said: what another process has said about it. folder: of the run, if it has one. checkpoint: `last` of the run, if there is one.
    step: its optimizer step, if that is known.
    """

    def __init__(self, number: int, said: str = ""):
        self.signal = signal.Signals(number)
        super().__init__(REQUEUE if self.signal.name == "SIGUSR1" else 128 + number)
        self.said = said
        self.folder: Path | None = None
        self.checkpoint: Path | None = None
        self.step: int | None = None

    def __str__(self) -> str:
        """Message that names the saved checkpoint and the command to resume from it."""
        if self.said:
            return self.said
        if self.checkpoint is None:
            return f"Stopped by {self.name}; there was nothing to save yet" + (f" ({self.folder})" if self.folder else "")
        step = "the newest state" if self.step is None else f"step {self.step}"
        return f"Stopped by {self.name}. {self.checkpoint} has {step}; python train.py resume={self.folder} goes on from it"

    @property
    def name(self) -> str:
        """Of the signal, as a user knows it."""
        return "Ctrl-C" if self.signal is signal.SIGINT else self.signal.name

    @classmethod
    def of_code(cls, code: int) -> "Interrupted | None":
        """The interruption that a process reported by its exit code, or that ended it unhandled; None for another code."""
        codes = {key: number for number in SIGNALS for key in (cls(number).code, -number)}
        return cls(codes[code]) if code in codes else None


class Interruption:
    """The signal that asks this process to stop, if one has come.

    Only the main thread can set handlers; in another one nothing is watched. A second Ctrl-C stops at once; another second signal is the
    same one, sent to the process and to its group, or the scheduler's next, and changes nothing.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.deferred = False  # until somebody asks
        self.quiet = False  # nothing is printed; the ranks of this process do
        self.agreed: HostCopy | None = None  # how many ranks have received each of SIGNALS, of several ranks, in the step under way
        self.saved: int | None = None  # step of `last`, known when this process has written or loaded it
        self._previous: dict[int, Any] = {}
        self._process = 0

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Handles the signals inside the block; within another such block, nothing."""
        if self._previous or threading.current_thread() is not threading.main_thread():
            yield
            return
        self.received, self.deferred, self.agreed, self.saved, self._process = None, False, None, None, os.getpid()
        for number in SIGNALS:
            if number in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(number) is not signal.SIG_IGN:  # by nohup
                self._previous[number] = signal.signal(number, self._handle)
        try:
            yield
        finally:
            while self._previous:
                number, handler = self._previous.popitem()
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
            self.deferred = False

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Only remembers a signal inside the block. A second Ctrl-C still raises."""
        self.deferred = self.quiet = True
        try:
            yield
        finally:
            self.deferred = self.quiet = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a forked worker: its process is needed to the end of the step, and ends it then
            if number == signal.SIGTERM:
                signal.alarm(WORKER_SECONDS)
            return
        first, self.received = self.received is None, self.received or number
        if self.deferred and first:
            how = "; press Ctrl-C again to stop at once" if number == signal.SIGINT else f" ({signal.Signals(number).name})"
            if not self.quiet:
                _tell(f"\nStopping after this step{how}.\n")
        elif first or number == signal.SIGINT:
            raise Interrupted(number)

    def asked(self, trainer: "pl.Trainer") -> int | None:
        """The signal that a process of the trainer has received; None if none has. Every process must ask, at the same place.

        In training it is known from the step's reduction of losses (`agreed`): another one would be a second meeting of all ranks."""
        if self.agreed is not None:
            counts, self.agreed = self.agreed.read(), None
            return max((number for number, count in zip(SIGNALS, counts, strict=True) if count), default=None)
        received = self.received or 0
        if trainer.world_size > 1:
            import torch

            everywhere = trainer.strategy.reduce(torch.tensor(received, device=trainer.strategy.root_device), reduce_op="max")
            received = int(everywhere)
        return received or None

    @contextlib.contextmanager
    def of_run(self, folder: Path, last: Path) -> Iterator[None]:
        """Completes an `Interrupted` that is raised inside the block by what the run has saved."""
        self.saved = None
        try:
            yield
        except Interrupted as interrupted:
            interrupted.folder = folder
            if last.exists():
                interrupted.checkpoint, interrupted.step = last, self.saved
            raise


def _tell(line: str) -> None:
    """Writes to standard error; `print` cannot be called by a handler that interrupts a `print`. On rank zero alone."""
    if ranks().rank == 0:
        with contextlib.suppress(OSError):
            os.write(2, line.encode())


interruption = Interruption()  # signals belong to the process
