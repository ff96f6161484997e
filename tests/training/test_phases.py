"""Progress of work besides training steps: `framework.utils.phases`."""

import io
import sys
import threading

import pytest

from framework.utils import phases
from framework.utils.phases import Phase, clock, phase, reported


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (65.4, "1:05"), (3600, "1:00:00"), (7325, "2:02:05"), (-1, "0:00")])
def test_a_duration_is_minutes_and_seconds(seconds, text):
    assert clock(seconds) == text


def test_a_line_has_what_is_known():
    assert Phase("reading").line(3) == "reading (0:03)"
    known, unknown = Phase("encoding train", 10_000), Phase("evaluating test", unit="batches")
    known.done, unknown.done = 4_000, 12
    assert known.line(2.0) == "encoding train: 4,000 of 10,000 rows, 2,000 rows/s, 0:03 left"
    assert unknown.line(4.0) == "evaluating test: 12 batches, 3 batches/s"


def test_the_total_is_known_once_the_same_items_have_been_counted(monkeypatch):
    monkeypatch.setattr(phases, "_totals", {})
    first, second, other = Phase("reading"), Phase("encoding"), Phase("encoding")
    assert list(first.counted(range(5), like="rows of a file")) == list(range(5)) and first.done == 5
    next(partial := second.counted(range(5), like="rows of a file"))
    next(partial)
    assert (second.done, second.total) == (1, 5)
    assert list(other.counted(range(2), like="another")) == [0, 1] and other.total is None


@pytest.fixture
def immediately(monkeypatch):
    """A reporter that has a look at once, and finds that every phase has lasted for ten seconds."""
    monkeypatch.setattr(phases, "_REDRAW", 0.001)
    monkeypatch.setattr(phases.time, "monotonic", lambda: 10.0)
    monkeypatch.setattr(Phase, "__init__", _since_zero(Phase.__init__))


def _since_zero(init):
    def changed(self, *arguments):
        init(self, *arguments)
        self.start = 0.0

    return changed


def _until(happened):
    """Waits for the thread of the reporter, at most half a minute."""
    assert any(happened() or threading.Event().wait(0.01) for _ in range(3000))


def test_plain_lines_name_the_innermost_phase(immediately):
    stream = io.StringIO()
    with reported("starting", stream):
        _until(lambda: "starting" in stream.getvalue())
        with phase("encoding train", 4) as encoding:
            encoding.done = 2
            _until(lambda: "left" in stream.getvalue())
        with phase(""):
            pass
    assert stream.getvalue().splitlines() == ["starting (0:10)", "encoding train: 2 of 4 rows, 0.2 rows/s, 0:10 left"]


def test_a_line_on_a_terminal_is_erased_before_anything_is_printed(immediately, monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    with reported("starting", stream):
        _until(lambda: "starting" in stream.getvalue())
        print("a result")
    blank = f"\r{'':<100}\r"
    text = stream.getvalue()
    assert text.startswith("\rstarting (0:10)") and f"{blank}a result" in text
    assert text.endswith((blank, "a result\n")) and "\n" not in text.partition("a result")[0]
    assert sys.stdout is stream


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_a_terminal_is_not_blank_although_every_phase_is_short(stream, monkeypatch):
    """A terminal has a line one second after the start of a command, whenever its innermost phase began; other streams have none."""
    written, seconds = stream(), [0.0]
    monkeypatch.setattr(phases.time, "monotonic", lambda: seconds[0])
    reporter = phases._Reporter(written)
    for now, names in ((0.9, []), (1.1, ["reading"]), (1.6, ["reading"])):  # the second line of a phase waits for its two seconds
        seconds[0] = now
        reporter._show(Phase("reading" if now == 1.1 else "encoding"))
        assert [name for name in ("reading", "encoding") if name in written.getvalue()] == (names if stream is Terminal else [])


def test_errors_of_the_stream_end_nothing(immediately):
    class Full(io.StringIO):
        def write(self, text):
            written.append(text)
            raise OSError("no space left")

    written: list[str] = []
    with reported("starting", Full()):
        _until(lambda: written)


def test_one_command_has_one_reporter(immediately):
    outer, inner = io.StringIO(), io.StringIO()
    with reported("outer", outer), reported("inner", inner):
        _until(lambda: "outer" in outer.getvalue())
    assert inner.getvalue() == ""
