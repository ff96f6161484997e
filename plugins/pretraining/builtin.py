"""Text that every machine has: what the modules of Python's standard library say of themselves, and how they do it."""

import os
import sysconfig
import tokenize
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

from framework.data.formats import Row

# What is not the library itself (tests, installed packages) or not written by hand (tables of code pages and of help texts).
LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "idlelib", "lib2to3", "turtledemo", "encodings", "pydoc_data"}
HELD_OUT = {0: "validation", 1: "test"}  # of 20 parts; the others are for training
HELD_OUT_SHARE = 0.1  # the most that a held-out part may have of the training part's size


def files(split: str, megabytes: float, folder: Path | None = None) -> Iterator[Row]:
    """The files of a split, source and docstrings as they stand, by a hash of their path: no file changes its split when others
    come or go. Ends before the file with which it would pass its size, but has one at least.
    """
    root = folder or Path(sysconfig.get_path("stdlib"))
    left = 1e6 * megabytes * (1 if split == "train" else HELD_OUT_SHARE)
    first = True
    for number, path in sorted((crc32(path.encode()), path) for path in sources(root)):
        if HELD_OUT.get(number % 20, "train") != split:
            continue
        try:
            with tokenize.open(root / path) as file:  # heeds the file's own declaration of its encoding
                text = file.read()
        except (SyntaxError, UnicodeDecodeError, PermissionError):
            continue
        left -= len(text.encode())
        if left < 0 and not first:
            return
        first = False
        yield {"text": text}


def sources(root: Path) -> Iterator[str]:
    """Paths below root, with slashes on every system."""
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in LEFT_OUT and not name.startswith("config-")]
        for name in names:
            if name.endswith(".py") and not name.startswith("_sysconfigdata"):  # which describes the machine it was built on
                yield (Path(folder) / name).relative_to(root).as_posix()
