"""The lock of a run's folder: one process trains in it at a time, on whatever machine.

`lock-N.jsonl` holds a line for the process that has the lock, and one for each rank that it started. The number makes taking over safe
without help of the file system: a file of the next number is created exclusively, and whoever then sees another living lock gives its own
up. A process of the same process table (machine, boot, namespace) is looked up, with its start, since ids are used again. Of others the
heartbeat counts: the time of the file, compared with that of a file written now in the same folder, so that clocks need not agree.
"""

import contextlib
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from framework.errors import UserError
from framework.runs.holder import Holder, is_alive, is_gone, process_table
from framework.utils.files import why_unwritable

BEAT, BOUND = 10.0, 120.0  # seconds between heartbeats; after so many without one a holder elsewhere is dead


@contextlib.contextmanager
def held(folder: Path, lost: Callable[[], None] | None = None) -> Iterator[None]:
    """Holds the lock of a folder inside the block; a dead process's is taken over. UserError: a living process has it, or
    the folder cannot be written to.

    lost: called, in another thread, when another process has taken the lock: this one was stopped for longer than `BOUND`. None: the
    process ends at once, before it writes anything more.
    """
    try:
        path, done = _take(folder), threading.Event()
    except OSError as error:
        raise UserError(f"{folder} cannot be written to: {why_unwritable(error) or error.strerror or error}") from error
    beat = threading.Thread(target=_beat, args=(path, done, lost or (lambda: _stop(folder))), name="lock", daemon=True)
    beat.start()
    try:
        yield
    finally:
        done.set()
        beat.join()
        if not any(is_alive(holder) for holder in _holders(path)[1:]):  # a rank that is left keeps the folder
            path.unlink(missing_ok=True)


def join(folder: Path) -> None:
    """Adds this process, a rank, to the lock that its parent has. UserError: the parent does not have it any more."""
    for path in _files(folder).values():
        holders = _holders(path)
        if holders and holders[0].pid == os.getppid() and holders[0].table == process_table():
            with open(path, "a", encoding="utf-8") as file:
                file.write(f"{json.dumps(asdict(Holder.this()))}\n")
            return
    raise UserError(f"{folder}: the process that started this rank has ended")


def holder(folder: Path) -> Holder | None:
    """The living process that has the lock of a folder; None if there is none. The folder is not written to."""
    return _living(folder, time.time())


def check(folder: Path) -> None:
    """UserError: a living process has the lock."""
    if there := _living(folder, _now(folder)):
        raise _refused(folder, there)


def _take(folder: Path) -> Path:
    """Creates the file of this process. UserError: another one lives."""
    text = f"{json.dumps(asdict(Holder.this()))}\n"
    while True:
        if there := _living(folder, _now(folder)):
            raise _refused(folder, there)
        path = folder / f"lock-{max(_files(folder), default=0) + 1}.jsonl"
        if not _created(path, text):
            continue
        if _living(folder, _now(folder), but=path):
            path.unlink()
            continue
        for other in _files(folder).values():
            if other != path:
                other.unlink(missing_ok=True)
        return path


def _created(path: Path, text: str) -> bool:
    """Creates a file with its text at once; False: there is one. A hard link is exclusive on network file systems too."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        beside.write_text(text, encoding="utf-8")
        try:
            os.link(beside, path)
        except FileExistsError:
            return False
        except OSError:  # no hard links here
            with open(path, "x", encoding="utf-8") as file:
                file.write(text)
    except FileExistsError:
        return False
    finally:
        beside.unlink(missing_ok=True)
    return True


def _living(folder: Path, now: float, but: Path | None = None) -> Holder | None:
    for path in _files(folder).values():
        if path == but:
            continue
        try:
            with open(path, encoding="utf-8") as file:  # opened: a network file system then asks for the newest time
                age, holders = now - os.fstat(file.fileno()).st_mtime, _parsed(file.read())
        except OSError:
            continue  # released meanwhile
        here = holders and holders[0].table == process_table() != ""
        told = [holder for holder in holders if holder.started] if here else []
        if any(map(is_alive, told)) or (age < BOUND and not (here and all(map(is_gone, holders)))):
            return next(iter(holders), Holder("a host unknown", "", 0, "", "a moment ago"))
    return None


def _files(folder: Path) -> dict[int, Path]:
    """Number -> lock file."""
    numbers = ((path.stem.removeprefix("lock-"), path) for path in folder.glob("lock-*.jsonl"))
    return {int(number): path for number, path in numbers if number.isdecimal()}


def _holders(path: Path) -> list[Holder]:
    try:
        return _parsed(path.read_text(encoding="utf-8"))
    except OSError:
        return []


def _parsed(text: str) -> list[Holder]:
    """The holders of a lock file; a line that is no holder is left out."""
    found = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError, TypeError):
            values: Any = json.loads(line)
            holder = Holder(**values)
            if isinstance(holder.pid, int) and all(isinstance(value, str) for name, value in values.items() if name != "pid"):
                found.append(holder)
    return found


def _now(folder: Path) -> float:
    """The present time by the clock that stamps the files of a folder."""
    probe = folder / f".lock.{secrets.token_hex(4)}.partial"
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


def _beat(path: Path, done: threading.Event, lost: Callable[[], None]) -> None:
    while not done.wait(BEAT):
        try:
            os.utime(path)
        except FileNotFoundError:
            if path.parent.is_dir() and not done.is_set():
                return lost()
        except OSError:
            pass  # a network file system that is away for a moment


def _stop(folder: Path) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"{folder}: its lock was removed or taken over by another process; this one stops\n".encode())
    os._exit(1)


def _refused(folder: Path, there: Holder) -> UserError:
    away = "" if there.table == process_table() else f"; without a sign of life it is taken over after {BOUND:.0f} seconds"
    return UserError(
        f"{folder} is being trained by {there}{away}.\nWait for it or stop it; another run gets a folder of its own: name=NAME"
    )
