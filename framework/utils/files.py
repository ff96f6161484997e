"""Atomic writes: a file or folder is written beside its target, then renamed, so that it is whole or not there."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from framework.errors import UserError

_SUFFIX = ".partial"
_REFUSALS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota of the disk is used up",
    errno.EFBIG: "the file is larger than this process may write (ulimit -f)",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
}


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that replaces `path` when the block succeeds; otherwise `path` stays as it was.

    The temporary file lies in the folder of the target: a rename from another file system would be a copy. UserError: the disk is full, a
    quota or a limit is reached, or the folder may not be written to.
    """
    partial, refusals = _partial(path), list[OSError]()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("xb") as file:
            yield _Watched(file, refusals)  # type: ignore[misc]
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        refusals += [error] if isinstance(error, OSError) else []
        if why := next(filter(None, map(why_unwritable, refusals)), ""):
            kept = ". The file that was there before is still whole" if path.exists() else ""
            raise UserError(f"{path} could not be written: {why}{kept}") from error
        raise
    sync(path.parent)


class _Watched:
    """A file that remembers the errors of writing: torch.save reports them as a RuntimeError of its own."""

    def __init__(self, file: IO[bytes], refusals: list[OSError]):
        self._file, self._refusals = file, refusals

    def write(self, data: Any) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self._refusals.append(error)
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def check_current_folder() -> None:
    """UserError: the current folder was removed, so that no relative path means anything."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UserError("the current folder does not exist any more; cd to one that does") from None


def why_unwritable(error: OSError) -> str:
    """Why the system refuses to write, if that is for the user to mend; otherwise empty."""
    return _REFUSALS.get(error.errno or 0, "")


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
    """UserError: a folder that is about to be written in has a link to a place outside, which would be written instead.

    Links within a folder of `wandb/` are W&B's own: each process makes such a folder anew, and none is written to again.
    """
    for path in sorted(folder.rglob("*")):
        first, *inner = path.relative_to(folder).parts
        if first == "wandb" and len(inner) > 1:
            continue
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
