"""Hashes of values, objects and source code, the keys of caches."""

import hashlib
import inspect
import json
from pathlib import Path
from typing import Any


def digest(value: Any) -> str:
    """A hash of a JSON-able value, the same in every process."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=values_of)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def values_of(thing: Any) -> Any:
    """An object as JSON: its class and its attributes."""
    if isinstance(thing, (set, frozenset)):
        return sorted(thing)
    return [f"{type(thing).__module__}.{type(thing).__qualname__}", vars(thing)]


def code_of(thing: Any) -> str:
    """A hash of the source files of a function, or of an object's class and its bases, and of all modules of their packages."""
    files: set[Path] = set()
    for cls in [thing] if inspect.isfunction(thing) else type(thing).__mro__:
        if cls.__module__ in ("builtins", "abc", "typing"):
            continue
        try:
            path = Path(inspect.getsourcefile(cls) or "")
        except (TypeError, OSError):  # defined in an interpreter, without a file
            continue
        files.update(path.parent.glob("*.py") if "." in cls.__module__ else [path])
    return digest([[path.name, hashlib.blake2b(path.read_bytes()).hexdigest()] for path in sorted(files)])
