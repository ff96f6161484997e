"""Folders of encoded data in the user's cache: each is made once and shared by all processes, whole or not there.

An entry is written beside its place, gets its manifest last, and is renamed into place under a lock. A folder that a killed process
left without a manifest, or unfinished, is made again.
"""

import json
import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from framework.utils.cache_folder import cache_folder, usable_cache
from framework.utils.files import new_folder, remove_partial

MANIFEST = "manifest.json"
BLOCK = 1 << 16


def entry(kind: str, key: str, write: Callable[[Path], None]) -> Path:
    """The folder `kind/key` of the cache; `write(folder)` fills it unless it is there, whole.

    Of several processes that ask at once, one writes and the others wait. An error in `write` leaves nothing behind.
    UserError: the cache folder cannot be written to.
    """
    folder = cache_folder() / kind / key
    with usable_cache():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not whole(folder):
                remove_partial(folder.parent, folder.name)  # this process holds the lock: the one that wrote them is dead
                if folder.exists():
                    shutil.rmtree(folder)
                with new_folder(folder) as partial:
                    write(partial)
                    seal(partial)
    return folder


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
