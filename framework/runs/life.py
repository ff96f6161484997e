"""The life of a run, recorded in its run.json: state, begin and end, host and commit, and why it failed."""

import contextlib
import socket
import subprocess
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from framework.errors import RankFailed, UserError
from framework.runs import lock, log
from framework.runs.folder import Run
from framework.utils.files import why_unwritable


@contextlib.contextmanager
def recorded(run: Run) -> Iterator[None]:
    """Records that the run is running inside the block, and then how it ended: finished; interrupted by a signal (the exception is a
    KeyboardInterrupt, or has a `signal`); or failed, with the reason in one line and the traceback in train.log.

    A rank of the run does the same; what it has recorded stays, unless another rank failed.
    """
    _record(run, state="running", end=None, error=None, host=socket.gethostname(), commit=commit())
    try:
        with _disk(run):
            yield
    except BaseException as error:
        state = run.notes().get("state")
        if isinstance(error, KeyboardInterrupt) or hasattr(error, "signal"):
            if state == "running":
                _end(run, "interrupted")
        elif state != "failed":
            _end(run, "failed", reason(error))
            expected = isinstance(error, (UserError, RankFailed, SystemExit))
            log.append(run.log, f"{error}\n" if expected else traceback.format_exc())
        raise
    _end(run, "finished")


@contextlib.contextmanager
def _disk(run: Run) -> Iterator[None]:
    """UserError: the disk refuses what the block writes, wherever that is."""
    try:
        yield
    except OSError as error:
        if isinstance(error, BrokenPipeError) or not (why := why_unwritable(error)):
            raise
        where = error.filename or run.folder
        raise UserError(f"{where}: {why}. The checkpoints are whole; resume={run.folder} goes on from the last one") from error


def standing(run: Run) -> str:
    """State of a run as a clause: `is being trained by process 7 on a1`, `failed (out of memory)`; empty if that is not recorded."""
    if there := lock.holder(run.folder):
        return f"is being trained by {there}"
    if not (run.folder / "run.json").is_file():  # of a published or a copied folder
        return ""
    notes = run.notes()
    match notes.get("state"):
        case "running":
            return f"was killed on {notes.get('host')}"
        case "interrupted":
            return f"was interrupted at {notes.get('end')}"
        case "failed":
            return f"failed ({notes.get('error')})"
        case "finished":
            return f"finished at {notes.get('end')}"
    return ""


def reason(error: BaseException) -> str:
    """Why a run failed, in one line."""
    if isinstance(error, SystemExit):
        return f"a process of the run ended with exit code {error.code}"
    line = " ".join(str(error).split())[:300]
    return line if isinstance(error, (UserError, RankFailed)) else f"{type(error).__name__}: {line}".removesuffix(": ")


def commit() -> str | None:
    """The commit of the git repository that the current folder lies in; None without one."""
    try:
        asked = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None


def now() -> str:
    """The present time in run.json: UTC, ISO 8601, to the second."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _end(run: Run, state: str, error: str | None = None) -> None:
    with contextlib.suppress(UserError, OSError):  # on a full disk; the lock is gone, which says as much
        _record(run, state=state, end=now(), error=error)


def _record(run: Run, **notes: Any) -> None:
    before = run.notes()
    run.save_notes({**before, "begin": before.get("begin") or now(), **notes})
