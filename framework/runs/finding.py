"""The folder of all runs: finding a run in it by folder or name, and the link `last`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from framework.config.quoting import unquoted
from framework.config.validate import NO_RUN
from framework.errors import UserError
from framework.runs.folder import Run
from framework.runs.sweep import LEDGER
from framework.utils.files import write_text

RUNS = Path("runs")  # the folder of runs, where runs=DIR names no other


def resumes(word: str) -> bool:
    """Whether an override is `resume=...`."""
    return word.lstrip("+").startswith("resume=")


def wanted(words: Sequence[str]) -> str | None:
    """The value of `resume=` on a command line, without quotes: a folder, or auto; None if nothing is to be resumed.
    UserError: it stands there twice with different values, or has none."""
    values = list(dict.fromkeys(unquoted(word.partition("=")[2]) for word in words if resumes(word)))
    if len(values) > 1:
        raise UserError(f"resume={values[0]} and resume={values[1]}: one run is resumed at a time")
    if "" in values:
        raise UserError(NO_RUN)
    return values[0] if values and values[0] != "null" else None


def newest(root: Path, task: str, name: str) -> Run | None:
    """The run of that task and name that was made last; None if there is none. A damaged folder of that name is left out, with a line;
    the folder of a sweep, without one."""
    runs = []
    for folder in (root / task).glob("*"):
        if folder.name.startswith(f"{name}_") and not folder.is_symlink() and not (folder / LEDGER).exists():
            run = Run(folder.resolve())
            try:
                if run.saved_config().get("name") == name:
                    runs.append((str(run.notes().get("created", "")), folder.name, run))
            except (OSError, UserError) as error:
                print(f"{folder} is left out: {error}", file=sys.stderr)
    return max(runs, key=lambda found: found[:2], default=(None, None, None))[2]


def point_last(root: Path, folder: Path) -> None:
    """Makes `last` in a folder of runs a symbolic link to a run; on a file system without links, a file with its path."""
    root.mkdir(parents=True, exist_ok=True)
    link, target = root / "last", os.path.relpath(folder.resolve(), root.resolve())
    beside = link.with_name(f".{link.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    try:
        beside.symlink_to(target, target_is_directory=True)
    except OSError:
        if link.is_symlink():
            link.unlink()
        write_text(link, target + "\n")
    else:
        os.replace(beside, link)
