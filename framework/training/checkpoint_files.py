"""The files of checkpoints: `last`, `best`, and the newest ones by their step, several names of one file where they are equal."""

import os
import shutil
from pathlib import Path
from typing import Any

import torch

from framework.utils.files import replacing, sync
from framework.weights.torch_files import read_checkpoint

_STEP = "step_"


def save(checkpoint: dict[str, Any], path: Path) -> None:
    """Writes a checkpoint, which replaces the file that is there when it is whole."""
    with replacing(path) as file:
        torch.save(checkpoint, file)


def step_file(folder: Path, step: int) -> Path:
    """The name of the checkpoint after an optimizer step."""
    return folder / f"{_STEP}{step:08d}.ckpt"


def step_files(folder: Path) -> dict[int, Path]:
    """Step -> checkpoint, the oldest first."""
    found = {path.stem.removeprefix(_STEP): path for path in folder.glob(f"{_STEP}*.ckpt")}
    return {int(step): found[step] for step in sorted(found, key=int) if step.isdecimal()}


def link(file: Path, other: Path) -> None:
    """A second name for a checkpoint, as a hard link; files are always replaced and never modified."""
    beside = other.with_name(f".{other.name}.link.partial")
    beside.unlink(missing_ok=True)
    try:
        os.link(file, beside)
    except OSError:  # the file system has no hard links
        with open(file, "rb") as data, replacing(other) as copy:
            shutil.copyfileobj(data, copy)
    else:
        os.replace(beside, other)
        sync(other.parent)


def keep_step(last: Path, step: int, number: int) -> None:
    """Keeps `last` under the name of its step, and of all such checkpoints the newest ones, so many."""
    link(last, step_file(last.parent, step))
    for path in list(step_files(last.parent).values())[:-number]:
        path.unlink()


def go_back(file: Path, last: Path) -> None:
    """Makes a checkpoint that was kept `last` again; those of later steps, and a `best` that came later, are removed.

    A link to a later state is never the newer one: `last` is replaced when the others are gone.
    """
    step, best = read_checkpoint(file)["global_step"], last.with_name("best.ckpt")
    for later, path in step_files(last.parent).items():
        if later > step:
            path.unlink()
    if best.exists() and read_checkpoint(best)["global_step"] > step:
        best.unlink()
    link(file, last)
