"""The data cache: folders that are written once, whole or not at all, and shared by all processes.

An entry is written to a temporary folder, gets its manifest last, and is renamed under a lock. A folder that a killed process left
unfinished or without a manifest is written again.
"""

import json
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from filelock import FileLock

from framework.utils.cache_folder import cache_folder, usable_cache
from framework.utils.files import new_folder, remove_partial, sync

MANIFEST = "manifest.json"
BLOCK = 1 << 16
_checked: ContextVar[set[Path] | None] = ContextVar("_checked", default=None)  # entries, inside `checked_once`


def entry(kind: str, key: str, write: Callable[[Path], None]) -> Path:
    """The folder `kind/key` of the cache. If it does not exist or is damaged, `write(folder)` fills it.

    Of several processes, one writes and the others wait. If `write` raises, nothing remains.
    UserError: the cache folder cannot be written to.
    """
    folder, known = cache_folder() / kind / key, _checked.get()
    if known is not None and folder in known and folder.is_dir():
        return folder
    with usable_cache():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not whole(folder):
                remove_partial(folder.parent, folder.name)  # the lock is held, so their writer was killed
                if folder.exists():
                    shutil.rmtree(folder)
                with new_folder(folder) as partial:
                    write(partial)
                    seal(partial)
    if known is not None:
        known.add(folder)
    return folder


@contextmanager
def checked_once() -> Iterator[None]:
    """Inside, an entry that has been checked is not checked again; within another such block, nor one that was checked there."""
    token = _checked.set(set() if _checked.get() is None else _checked.get())
    try:
        yield
    finally:
        _checked.reset(token)


def seal(folder: Path) -> None:
    """Sync all files to disk, then write the manifest with the size and checksum of each."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        sync(path)
    listed = {path.relative_to(folder).as_posix(): [path.stat().st_size, checksum(path)] for path in files}
    (folder / MANIFEST).write_text(json.dumps(listed), encoding="utf-8")
    sync(folder / MANIFEST)


def checksums(folder: Path) -> dict[str, int]:
    """The checksum of each file of an entry, from its manifest."""
    listed = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return {name: checksum for name, (_, checksum) in listed.items()}


def whole(folder: Path) -> bool:
    """Whether all files of the manifest exist with their size and checksum."""
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
