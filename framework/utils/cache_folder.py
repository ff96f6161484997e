"""The cache folder of the user: the catalogue of parts and encoded data."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from framework.errors import UserError

# Errors of the disk and of permissions; others are bugs of whoever writes.
_UNUSABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST, errno.EFBIG, errno.ENOENT)


def cache_folder() -> Path:
    """$PLUGFORMER_CACHE, or `plugformer` in the cache folder that the operating system gives the user. UserError: the user has none."""
    try:
        return _cache_folder()
    except RuntimeError:  # no HOME, and the system does not know the user
        raise UserError("there is no home folder for a cache: name a folder, PLUGFORMER_CACHE=FOLDER in the environment") from None


def _cache_folder() -> Path:
    if named := os.environ.get("PLUGFORMER_CACHE"):
        return Path(named).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "plugformer"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "plugformer"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plugformer"


@contextmanager
def usable_cache() -> Iterator[None]:
    """A block that writes to the cache. UserError: the cache folder cannot be written to."""
    try:
        yield
    except OSError as error:
        elsewhere = error.filename and not Path(str(error.filename)).is_relative_to(cache_folder())
        if elsewhere or error.errno not in _UNUSABLE:
            raise
        raise UserError(
            f"the cache folder {cache_folder()} cannot be used: {error.strerror or error}\n"
            "Name another one: PLUGFORMER_CACHE=FOLDER in the environment"
        ) from error
