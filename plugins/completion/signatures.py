"""Built-in prompts and completions: functions of the standard library, and the first lines of their docstrings."""

import ast
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from zlib import crc32

from framework import Row, StandardLibrary


def signatures(split: str, most: int, folder: Path | None = None) -> Iterator[Row]:
    """A signature, and the first line of its docstring. A hash of that line decides the split: no line is in two of them."""
    library = StandardLibrary(folder)
    pairs = ((prompt, text) for prompt, text in _pairs(library.root) if library.split_of(crc32(text.encode())) == split)
    for prompt, text in islice(pairs, most if split == "train" else max(1, int(library.held_out_share * most))):
        yield {"prompt": prompt, "completion": text}


@cache
def _pairs(root: Path) -> tuple[tuple[str, str], ...]:
    """Every pair once. Files are ordered by hash, so that the first ones are of all kinds."""
    return tuple(dict.fromkeys(pair for _, path in StandardLibrary(root).hashed() for pair in _functions(root / path)))


def _functions(path: Path) -> Iterator[tuple[str, str]]:
    if parsed := StandardLibrary.parse(path):
        for node in StandardLibrary.functions(parsed[1]):
            if text := ast.get_docstring(node):
                yield f"def {node.name}({ast.unparse(node.args)}):", text.partition("\n")[0]
