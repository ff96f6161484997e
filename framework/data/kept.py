"""Rows that are made once and kept in the cache folder."""

import json
import sys
from collections.abc import Callable, Iterable
from functools import cache, wraps
from pathlib import Path
from typing import Any

from framework.data.cache import entry
from framework.data.fingerprints import code_of, digest
from framework.data.stdlib import StandardLibrary

ROWS = "rows.jsonl"


def kept_on_disk(make: Callable[..., Iterable[Any]]) -> Callable[..., tuple[Any, ...]]:
    """Decorator of a function that makes rows from Python's standard library: they are read from the cache folder if they were made before.

    They are made again for another Python, and when a module of the function's package changes. Rows and arguments are JSON values, so
    tuples come back as lists.
    UserError: the cache folder cannot be written to.
    """

    @cache
    @wraps(make)
    def kept(*arguments: Any) -> tuple[Any, ...]:
        key = digest([make.__qualname__, code_of(make), *_library(), arguments])

        def write(folder: Path) -> None:
            with open(folder / ROWS, "w", encoding="utf-8", errors="surrogatepass") as file:
                file.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in make(*arguments))

        with open(entry("builtin", key, write) / ROWS, encoding="utf-8", errors="surrogatepass") as file:
            return tuple(map(json.loads, file))

    return kept


def _library() -> list[str]:
    """What says which files are read, and how."""
    library = StandardLibrary()
    return [sys.version, str(library.root), code_of(library)]
