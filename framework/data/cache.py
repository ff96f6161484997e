"""A folder of files that are made once and shared by every process, whole or not at all.

An entry is written beside its place, gets its manifest last, and is renamed into place under a lock. What a killed process
leaves behind has no manifest or lies in a temporary folder; it is noticed and made again.
"""

import errno
import json
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from framework.errors import UserError

MANIFEST = "manifest.json"
BLOCK = 1 << 16
NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST)  # the disk's mistakes


def root() -> Path:
    """$PLUGFORMER_CACHE, or the user's cache folder."""
    if named := os.environ.get("PLUGFORMER_CACHE"):
        return Path(named).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "plugformer"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "plugformer"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plugformer"


def entry(kind: str, key: str, write: Callable[[Path], None]) -> Path:
    """The folder `kind/key` of the cache; `write(folder)` fills it if it is not there whole.

    Of several processes that ask at once, one writes and the others wait for it. What `write` raises leaves nothing behind.
    """
    folder = root() / kind / key
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not whole(folder):
                _make(folder, write)
    except OSError as error:
        elsewhere = error.filename and not Path(str(error.filename)).is_relative_to(root())
        if elsewhere or error.errno not in NOT_OURS:
            raise
        raise UserError(
            f"the cache folder {root()} cannot be used: {error.strerror or error}\nanother one: PLUGFORMER_CACHE=FOLDER in the environment"
        ) from error
    return folder


def _make(folder: Path, write: Callable[[Path], None]) -> None:
    for left_behind in folder.parent.glob(f"{folder.name}.*.part"):  # we hold the lock: whoever made it is dead
        shutil.rmtree(left_behind)
    if folder.exists():
        shutil.rmtree(folder)
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}.", suffix=".part"))
    try:
        write(part)
        seal(part)
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def seal(folder: Path) -> None:
    """Writes the manifest: size and checksum of every file, after the files are safely on disk."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        _sync(path)
    listed = {path.relative_to(folder).as_posix(): [path.stat().st_size, checksum(path)] for path in files}
    (folder / MANIFEST).write_text(json.dumps(listed), encoding="utf-8")
    _sync(folder / MANIFEST)


def whole(folder: Path) -> bool:
    """Whether every file of the manifest is there as it was written."""
    try:
        listed = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return all((folder / name).stat().st_size == size and checksum(folder / name) == sum for name, (size, sum) in listed.items())
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def checksum(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            value = zlib.crc32(block, value)
    return value


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
