"""Standard streams that cannot be relied on: closed, full, of a reader that has gone, or of few letters."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from framework.errors import UserError
from framework.utils.files import why_unwritable


def prepare_streams() -> None:
    """Opens closed standard streams on the null device, so that no file of a run gets their numbers, and writes letters that a stream does
    not have as `\\xe9`. For the beginning of a program."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def unbroken_output() -> Iterator[None]:
    """Inside the block, output that cannot be written is lost, and nothing else: a run is worth more than its messages."""
    out, err = _Unbroken(sys.stdout), _Unbroken(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):  # type: ignore[type-var]
        try:
            yield
        finally:
            out.flush()
            err.flush()


@contextlib.contextmanager
def demanded_output() -> Iterator[None]:
    """A block whose output is what the user asked for. A reader that has gone (`| head`) ends it without a word. UserError: standard output
    cannot be written."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        discard(sys.stdout)
    except OSError as error:
        if error.filename is not None or not (why := why_unwritable(error)):
            raise
        discard(sys.stdout)
        raise UserError(f"standard output cannot be written: {why}") from None


def tell(message: object) -> None:
    """Prints a message on standard error, if that can be written."""
    try:
        print(message, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """Sends what is left in a stream, and all that is yet to come, to the null device; Python would report it when it ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


class _Unbroken:
    """A stream whose errors are ignored."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except (OSError, ValueError):  # ValueError: it is closed
            discard(self._stream)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            discard(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
