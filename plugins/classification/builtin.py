"""Built-in rows of one label: which package of Python's standard library is a text from?

A row is the docstring of a module, class or function, or the source of a function without one. The running Python's own
library is read, so metrics differ a little between Python versions.
"""

import ast
import hashlib
import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

from framework import StandardLibrary, kept_on_disk

PACKAGES = 12
_SHORTEST = 30  # characters: "See the base class." could be from any package
_LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}


def rows(split: str) -> Iterator[dict[str, str]]:
    """The rows of "train" (80 %), "validation" (10 %) or "test" (10 %), always the same and in the same order."""
    for text, label in _texts():
        if split_of(text) == split:
            yield {"text": text, "label": label}


def split_of(text: str) -> str:
    """The split of a text by its own hash, so that it never changes."""
    tenth = digest(text)[0] * 10 // 256
    return {0: "test", 1: "validation"}.get(tenth, "train")


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


@kept_on_disk
def _texts() -> Iterable[tuple[str, str]]:
    """(text, package) of the packages with the most texts, every text once, with the names of these packages masked."""
    texts = {folder.name: [text for path in sources(folder) for text in _pieces(path)] for folder in packages(StandardLibrary().root)}
    largest = sorted(sorted(texts), key=lambda name: len(texts[name]), reverse=True)[:PACKAGES]
    names = re.compile("|".join(sorted(largest, key=len, reverse=True)), re.IGNORECASE)
    package_of: dict[str, str] = {}
    for package in sorted(largest):
        for text in texts[package]:
            masked = names.sub("package", text)
            if len(masked) >= _SHORTEST:
                package_of.setdefault(masked, package)
    return package_of.items()


def packages(library: Path) -> list[Path]:
    return [
        folder
        for folder in library.iterdir()
        if (folder / "__init__.py").is_file() and folder.name not in _LEFT_OUT and not folder.name.startswith("_")
    ]


def sources(package: Path) -> list[Path]:
    return sorted(package / path for path in StandardLibrary(package).paths(_LEFT_OUT))


def _pieces(path: Path) -> Iterator[str]:
    """Every docstring of a file, and every function without one."""
    if not (parsed := StandardLibrary.parse(path)):
        return
    lines = parsed[0].splitlines()
    for node in StandardLibrary.definitions(parsed[1]):
        docstring = ast.get_docstring(node)
        if docstring:
            yield docstring
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield textwrap.dedent("\n".join(lines[node.lineno - 1 : node.end_lineno]))
