"""Progress of reading, encoding, evaluation and other work besides training steps: a line on standard error from two seconds on.

On a terminal a command shows its first line after one second, so that no terminal is blank while modules are imported."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, TypeVar

from framework.utils.ranks import ranks

_FIRST = 2.0  # seconds until a phase is shown; as plain lines, it is shown again after 4, 8, 16, ... seconds
_SOON = 1.0  # seconds until a command has shown a line on a terminal, whatever the phase
_REDRAW = 0.5  # seconds, on a terminal
_WIDTH = 100  # characters of a line that is erased

Item = TypeVar("Item")
_phases: list["Phase"] = []  # innermost last
_totals: dict[str | None, int] = {}


class Phase:
    """A phase of a command: one kind of work, such as encoding a split.

    name: empty if nothing is to be reported. total: of the items that it goes through; None if that is not known.
    """

    def __init__(self, name: str, total: int | None = None, unit: str = "rows"):
        self.name, self.total, self.unit = name, total, unit
        self.done = 0
        self.start = time.monotonic()
        self.due = _FIRST  # seconds after the start when a plain line is next

    def counted(self, items: Iterable[Item], like: str | None = None) -> Iterator[Item]:
        """The same items, each counted when the next one is asked for. like: a name of these items; when they have been counted once, the
        total is known."""
        self.total = _totals.get(like, self.total)
        for item in items:
            yield item
            self.done += 1
        if like is not None:
            _totals[like] = self.done

    def line(self, seconds: float) -> str:
        """The line of progress after so many seconds: `encoding train: 4,000 of 10,000 rows, 2,000 rows/s, 0:03 left`."""
        if not self.done or not seconds:
            return f"{self.name} ({clock(seconds)})"
        rate = self.done / seconds
        of, left = (f" of {self.total:,}", f", {clock((self.total - self.done) / rate)} left") if self.total else ("", "")
        return f"{self.name}: {self.done:,}{of} {self.unit}, {f'{rate:,.0f}' if rate >= 10 else f'{rate:.2g}'} {self.unit}/s{left}"


def clock(seconds: float) -> str:
    """A duration as `1:05` or `2:00:00`."""
    minutes, second = divmod(max(0, round(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


@contextlib.contextmanager
def phase(name: str, total: int | None = None, unit: str = "rows") -> Iterator[Phase]:
    """A context whose work is reported under a name if it takes long, inside of `reported`."""
    each = Phase(name, total, unit)
    _phases.append(each)
    try:
        yield each
    finally:
        _phases.remove(each)


@contextlib.contextmanager
def reported(name: str, stream: TextIO | None = None) -> Iterator[None]:
    """A context in which a thread reports phases on a stream (standard error); `name` is the phase of everything outside of the others.

    On a terminal the line is redrawn, and erased before anything else is printed; elsewhere lines are printed at longer and longer
    intervals. Of several ranks, the first one reports.
    """
    stream = stream or sys.__stderr__
    if stream is None or _Reporter.running or ranks().rank:
        yield
        return
    with contextlib.ExitStack() as stack:
        reporter = _Reporter(stream)
        if reporter.terminal:
            for redirect, printed in ((contextlib.redirect_stdout, sys.stdout), (contextlib.redirect_stderr, sys.stderr)):
                stack.enter_context(redirect(_Erasing(printed, reporter)))  # type: ignore[type-var]
        stack.enter_context(phase(name))
        stack.enter_context(reporter)
        yield


class _Reporter:
    """The thread that reports, as a context."""

    running = False

    def __init__(self, stream: TextIO):
        self.stream, self.terminal = stream, stream.isatty()
        self.shown = False  # whether a line stands on the terminal
        self._begun, self._spoken = time.monotonic(), False
        self._process, self._lock, self._stop = os.getpid(), threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._report, daemon=True)

    def __enter__(self) -> "_Reporter":
        _Reporter.running = True
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        _Reporter.running = False
        self._stop.set()
        self._thread.join()
        self.erase()

    def _report(self) -> None:
        while not self._stop.wait(_REDRAW):
            current = _phases[-1:]
            if current and current[0].name:
                self._show(current[0])

    def _show(self, current: Phase) -> None:
        now = time.monotonic()
        seconds, soon = now - current.start, self.terminal and not self._spoken and now - self._begun >= _SOON
        if not soon and seconds < (_FIRST if self.terminal else current.due):
            return
        self._spoken = True
        while current.due <= seconds:
            current.due *= 2
        text = current.line(seconds)
        with self._lock:
            self._write(f"\r{text[:_WIDTH]:<{_WIDTH}}\r" if self.terminal else f"{text}\n")
            self.shown = self.terminal

    def erase(self) -> None:
        """Erases the line on the terminal, if there is one."""
        if self.shown and os.getpid() == self._process:  # a forked process may have copied a lock that is held
            with self._lock:
                self._write(f"\r{'':<{_WIDTH}}\r")
                self.shown = False

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # progress is worth no error
            self.stream.write(text)
            self.stream.flush()


class _Erasing:
    """A stream that erases the line of progress before it prints."""

    def __init__(self, stream: TextIO, reporter: _Reporter):
        self._stream, self._reporter = stream, reporter

    def write(self, text: str) -> int:
        self._reporter.erase()
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
