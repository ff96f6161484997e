"""Atomic writes: a file or folder is written beside its target, then renamed, so that it is whole or not there."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from framework.errors import UserError

_SUFFIX = ".partial"


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that replaces `path` when the block succeeds; otherwise `path` stays as it was.

    The temporary file lies in the folder of the target: a rename from another file system would be a copy. UserError: the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException as error:
        full = _disk_is_full(error, path.parent)
        partial.unlink(missing_ok=True)
        if full:
            raise UserError(f"{path} could not be written: the disk is full. The file that was there before is still whole.") from error
        raise
    sync(path.parent)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill that is renamed to `path` when the block succeeds and removed otherwise. `path` must be missing or empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    partial.mkdir()
    try:
        yield partial
        os.replace(partial, path)
        sync(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Replaces the file at `path`, atomically."""
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


def refuse_links(folder: Path) -> None:
    """UserError: a folder that is about to be written in has a link to a place outside, which would be written instead."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
            raise UserError(
                f"{path} is a link to {os.readlink(path)}, outside the folder of the run, and would be written there. Put the file "
                "or folder itself in its place"
            )


def remove_partial(folder: Path, name: str = "*") -> None:
    """Removes the unfinished files and folders of killed processes, for targets of this name. No other process may be writing them."""
    for path in folder.glob(f".{name}.*{_SUFFIX}"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _disk_is_full(error: BaseException, folder: Path) -> bool:
    """torch.save reports a full disk as a RuntimeError of its own, so the disk is asked while the unfinished file exists."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, RuntimeError) and shutil.disk_usage(folder).free < 1 << 20


def _partial(path: Path) -> Path:
    """A new name beside the target."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{_SUFFIX}")


def sync(path: Path) -> None:
    """Writes a file to disk; of a folder its entries, renames among them."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
