"""Functions and what they do: the first sentence of a docstring, to be written from the code without it.

The source of the running Python's own standard library is read, never imported, so figures differ a little between Python versions.
"""

import ast
import os
import re
import sysconfig
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from zlib import crc32

from framework.data.formats import Row

# What is not the library itself: tests, installed packages, demonstrations.
LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "idlelib", "lib2to3", "turtledemo", "pydoc_data"}
HELD_OUT = {3: "validation", 4: "test"}  # of ten parts, the two that no single file fills; the others are for training
WORDS = range(3, 31)  # of a sentence: "Constructor." says nothing, and what goes on for longer is more than one thought
END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
SIGNATURE = re.compile(r"[\w.]+\(|.*(>>>|->)")  # how some old docstrings begin


def rows(split: str, lines: int) -> Iterator[Row]:
    """The rows of a split, always the same and in the same order, with so many lines of each function at most. Files are split, by
    their names, so that no function meets its neighbor of training in a test, and no file moves when others come or go."""
    seen = set()
    for path, code, summary in _functions():
        document = "\n".join(code.splitlines()[:lines])
        if document not in seen and split_of(path) == split:
            yield {"document": document, "summary": summary}
        seen.add(document)


def split_of(path: str) -> str:
    return HELD_OUT.get(crc32(path.encode()) % 10, "train")


@cache
def _functions() -> tuple[tuple[str, str, str], ...]:
    """File, code and sentence of every function that has one."""
    library = Path(sysconfig.get_path("stdlib"))
    return tuple((name, *found) for name in sorted(_files(library)) for found in functions((library / name).read_bytes()))


def _files(library: Path) -> Iterator[str]:
    """Paths below the library, with slashes on every system."""
    for folder, folders, names in os.walk(library):
        folders[:] = [name for name in folders if name not in LEFT_OUT]
        yield from ((Path(folder) / name).relative_to(library).as_posix() for name in names if name.endswith(".py"))


def functions(source: bytes) -> Iterator[tuple[str, str]]:
    """The code without its docstring, and the docstring's first sentence, of each function that has both."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # a sample of broken code, or of another Python's
        return
    lines = source.decode("utf-8", errors="replace").splitlines()
    for node in ast.walk(tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        sentence = first_sentence(ast.get_docstring(node) or "")
        if len(sentence.split()) in WORDS and not SIGNATURE.match(sentence):
            first, docstring = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]), node.body[0]
            if lines[docstring.lineno - 1][: docstring.col_offset].strip():  # in the line of the name
                continue
            kept = lines[first - 1 : docstring.lineno - 1] + lines[docstring.end_lineno : node.end_lineno]
            yield "\n".join(line for line in textwrap.dedent("\n".join(kept)).splitlines() if line.strip()), sentence


def first_sentence(docstring: str) -> str:
    paragraph = " ".join(docstring.strip().partition("\n\n")[0].split())
    return END.split(paragraph)[0]
