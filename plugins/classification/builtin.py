"""Rows for classification that need no download: which package of Python's standard library is this from?

A row is the docstring of a module, class or function, or the source of a function without one. The running Python's own
library is read, never imported, so its figures differ a little between Python versions.
"""

import ast
import hashlib
import re
import sysconfig
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGES = 12
_SHORTEST = 30  # characters: "See the base class." could come from anywhere
_LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}


def rows(split: str) -> Iterator[dict[str, str]]:
    """The rows of "train" (80 %), "validation" (10 %) or "test" (10 %), always the same and in the same order."""
    for text, label in _texts():
        if split_of(text) == split:
            yield {"text": text, "label": label}


def split_of(text: str) -> str:
    """The text itself decides, so that no change elsewhere moves it from training to test."""
    tenth = digest(text)[0] * 10 // 256
    return {0: "test", 1: "validation"}.get(tenth, "train")


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


@cache
def _texts() -> tuple[tuple[str, str], ...]:
    """(text, package) of the packages with the most texts, every text once, their names masked in all of them."""
    library = Path(sysconfig.get_path("stdlib"))
    found = {folder.name: [text for path in sources(folder) for text in _pieces(path)] for folder in packages(library)}
    largest = sorted(sorted(found), key=lambda name: len(found[name]), reverse=True)[:PACKAGES]
    names = re.compile("|".join(sorted(largest, key=len, reverse=True)), re.IGNORECASE)
    owners: dict[str, str] = {}
    for package in sorted(largest):
        for text in found[package]:
            masked = names.sub("package", text)
            if len(masked) >= _SHORTEST:
                owners.setdefault(masked, package)
    return tuple(owners.items())


def packages(library: Path) -> list[Path]:
    return [
        folder
        for folder in library.iterdir()
        if (folder / "__init__.py").is_file() and folder.name not in _LEFT_OUT and not folder.name.startswith("_")
    ]


def sources(package: Path) -> list[Path]:
    return sorted(path for path in package.rglob("*.py") if not _LEFT_OUT.intersection(path.relative_to(package).parts))


def _pieces(path: Path) -> Iterator[str]:
    """Every docstring of a file, and every function that has none."""
    source = path.read_bytes()
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # a sample of broken code, or of another Python's
        return
    lines = source.decode("utf-8", errors="replace").splitlines()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            docstring = ast.get_docstring(node)
            if docstring:
                yield docstring
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield textwrap.dedent("\n".join(lines[node.lineno - 1 : node.end_lineno]))
