"""Files that are whole or not there: written beside their target, synced and renamed."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from framework.errors import UserError

_ENDING = ".partial"


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of `path` when the block ends well, and leaves it as it was otherwise.

    It lies in the folder of its target: a rename from another file system would be a copy. UserError: the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_ENDING)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~umask())
        os.replace(name, path)
    except BaseException as error:
        full = _disk_is_full(error, path.parent)
        Path(name).unlink(missing_ok=True)
        if full:
            raise UserError(f"{path} could not be written: the disk is full. What was there before is still whole.") from error
        raise
    _sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Text in place of what is at `path`, whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


def sweep(folder: Path) -> None:
    """Removes what a killed process left half written. Only where no other process writes now."""
    for path in folder.glob(f".*{_ENDING}"):
        path.unlink(missing_ok=True)


def _disk_is_full(error: BaseException, folder: Path) -> bool:
    """torch.save reports a full disk as a RuntimeError of its own, so the disk is asked while the half-written file is there."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, RuntimeError) and shutil.disk_usage(folder).free < 1 << 20


def umask() -> int:
    """The permissions that this process takes away from what it makes."""
    current = os.umask(0)
    os.umask(current)
    return current


def _sync_folder(folder: Path) -> None:
    """The rename itself must reach the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
