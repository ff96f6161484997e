"""Built-in rows: the code of a function without its docstring, and the first sentence of the docstring as its summary.

The running Python's own standard library is read, so metrics differ a little between Python versions.
"""

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

from framework import Row, StandardLibrary, kept_on_disk

# Folders that are not the library itself: tests, installed packages, demonstrations.
LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "idlelib", "lib2to3", "turtledemo", "pydoc_data"}
HELD_OUT = {3: "validation", 4: "test"}  # of ten parts, two that no single file dominates; the others are for training
WORDS = range(3, 31)  # of a sentence: shorter ones ("Constructor.") are no summary
END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
SIGNATURE = re.compile(r"[\w.]+\(|.*(>>>|->)")  # how some old docstrings begin


def rows(split: str, lines: int) -> Iterator[Row]:
    """The rows of a split, always the same and in the same order. lines: of each function, at most. A hash of its path decides the
    split of a file, so that functions of one file are in one split."""
    seen = set()
    for path, code, summary in _functions():
        document = "\n".join(code.splitlines()[:lines])
        if document not in seen and split_of(path) == split:
            yield {"document": document, "summary": summary}
        seen.add(document)


def split_of(path: str) -> str:
    return HELD_OUT.get(crc32(path.encode()) % 10, "train")


@kept_on_disk
def _functions() -> Iterator[tuple[str, str, str]]:
    """File, code and sentence of every function that has one."""
    library = StandardLibrary()
    return ((path, *pair) for path in sorted(library.paths(LEFT_OUT)) for pair in functions(library.root / path))


def functions(path: Path) -> Iterator[tuple[str, str]]:
    """The code without its docstring, and the docstring's first sentence, of each function that has both."""
    if not (parsed := StandardLibrary.parse(path)):
        return
    lines = parsed[0].splitlines()
    for node in StandardLibrary.functions(parsed[1]):
        sentence = first_sentence(ast.get_docstring(node) or "")
        if len(sentence.split()) in WORDS and not SIGNATURE.match(sentence):
            first, docstring = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]), node.body[0]
            if lines[docstring.lineno - 1][: docstring.col_offset].strip():  # on the line of the name
                continue
            code = lines[first - 1 : docstring.lineno - 1] + lines[docstring.end_lineno : node.end_lineno]
            yield "\n".join(line for line in textwrap.dedent("\n".join(code)).splitlines() if line.strip()), sentence


def first_sentence(docstring: str) -> str:
    paragraph = " ".join(docstring.strip().partition("\n\n")[0].split())
    return END.split(paragraph)[0]
