"""A copy of what a run prints in its folder."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO


@contextlib.contextmanager
def logged(path: Path) -> Iterator[None]:
    """Copies everything printed inside the block to the end of a file. A file that cannot be written is named, and costs no run."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(_closing_quietly(path))
        except OSError as error:
            print(f"{path} cannot be written ({error.strerror}): the run goes on without it", file=sys.stderr)
        else:
            stack.enter_context(contextlib.redirect_stdout(_Copied(sys.stdout, file)))
            stack.enter_context(contextlib.redirect_stderr(_Copied(sys.stderr, file)))
        yield


def append(path: Path, text: str) -> None:
    """Adds a text to a log, where that is possible."""
    with contextlib.suppress(OSError), open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)


class _File:
    """A file of text that is left alone from the first error on, which is printed once."""

    def __init__(self, file: TextIO, path: Path):
        self._file, self._path, self.whole = file, path, True

    def write(self, text: str) -> None:
        if self.whole:
            try:
                self._file.write(text)
                self._file.flush()  # the next process may be killed
            except OSError as error:
                self.whole = False
                print(f"{self._path} cannot be written ({error.strerror}): the run goes on without it", file=sys.stderr)


@contextlib.contextmanager
def _closing_quietly(path: Path) -> Iterator[_File]:
    file = open(path, "a", encoding="utf-8", errors="backslashreplace")
    try:
        yield _File(file, path)
    finally:
        with contextlib.suppress(OSError):  # what could not be written is lost already
            file.close()


class _Copied:
    """A stream whose text is also written to a file."""

    def __init__(self, stream: TextIO, file: _File):
        self._stream, self._file = stream, file

    def write(self, text: str) -> int:
        self._file.write(text)
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
