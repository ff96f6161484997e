"""Prompts and completions that every machine has: functions of the running Python's own standard library, and what they are for."""

import ast
import sysconfig
import tokenize
import warnings
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from zlib import crc32

from framework.data.formats import Row

from .builtin import HELD_OUT, HELD_OUT_SHARE, source_files


def signatures(split: str, most: int, folder: Path | None = None) -> Iterator[Row]:
    """A signature, and the first line of its docstring, by a hash of that: no line is in two splits."""
    pairs = _pairs(folder or Path(sysconfig.get_path("stdlib")))
    mine = ((prompt, text) for prompt, text in pairs if HELD_OUT.get(crc32(text.encode()) % 20, "train") == split)
    for prompt, text in islice(mine, most if split == "train" else max(1, int(HELD_OUT_SHARE * most))):
        yield {"prompt": prompt, "completion": text}


@cache
def _pairs(root: Path) -> tuple[tuple[str, str], ...]:
    """Every pair once. The files are read in the order of their hash, so that a part of them is of all kinds."""
    ordered = sorted((crc32(path.encode()), path) for path in source_files(root))
    return tuple(dict.fromkeys(pair for _, path in ordered for pair in _functions(root / path)))


def _functions(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with tokenize.open(path) as file, warnings.catch_warnings(action="ignore"):  # of the library's own escapes
            tree = ast.parse(file.read())
    except (SyntaxError, ValueError, PermissionError):  # a sample of broken code, or of another encoding
        return
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (text := ast.get_docstring(node)):
            yield f"def {node.name}({ast.unparse(node.args)}):", text.partition("\n")[0]
