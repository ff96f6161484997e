"""Rows that are made once and kept in the cache folder."""

import inspect
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

    They are made again for another Python, and when a module of the function's package changes; rows of a function without a file, in a
    notebook, are not kept. Rows and arguments are JSON values, so tuples come back as lists.
    UserError: the cache folder cannot be written to.

    >>> @kept_on_disk
    ... def lines(ending):
    ...     library = StandardLibrary()
    ...     return ((path, len(library.read(library.root / path).splitlines())) for path in library.paths() if path.endswith(ending))
    >>> [name for name, count in lines("heapq.py")]
    ['heapq.py']
    """

    @cache
    @wraps(make)
    def kept(*arguments: Any) -> tuple[Any, ...]:
        if not Path(inspect.getsourcefile(make) or "").is_file():
            return tuple(json.loads(json.dumps(row)) for row in make(*arguments))
        key = digest([make.__qualname__, code_of(make), *_library(), arguments])

        def write(folder: Path) -> None:
            with open(folder / ROWS, "w", encoding="utf-8", errors="surrogatepass") as file:
                file.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in make(*arguments))

        with open(entry("builtin", key, write) / ROWS, encoding="utf-8", errors="surrogatepass") as file:
            return tuple(map(json.loads, file))

    return kept


def _library() -> list[str]:
    """Version, folder and reader of the standard library, parts of the key."""
    library = StandardLibrary()
    return [sys.version, str(library.root), code_of(library)]
