"""More rows that need no download: functions of Python's standard library, by what is in them.

The running Python's own library is read, never imported, as in builtin.py.
"""

import ast
import keyword
import re
import sysconfig
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from .builtin import digest, packages, sources, split_of

_SHORTEST, _LONGEST = 3, 12  # lines of a function: no model that reads 128 tokens sees the end of a longer one
_KINDS = {
    ast.If: "if",
    ast.For: "for",
    ast.While: "while",
    ast.Try: "try",
    ast.With: "with",
    ast.Raise: "raise",
    ast.Return: "return",
    ast.Assert: "assert",
    ast.Delete: "del",
    ast.Import: "import",
    ast.ImportFrom: "import",
}
# Operators and values are no statements: what is left of `for x in y` or `not x` tells as much as it always did.
_KEYWORDS = sorted({*keyword.kwlist} - {"and", "or", "not", "in", "is", "None", "True", "False"})
_BLANK = re.compile(rf"\b(?:{'|'.join(_KEYWORDS)})\b")


class Function(NamedTuple):
    """A function of the library: its code without the docstring, and the docstring, empty if it has none."""

    code: str
    docstring: str
    node: ast.FunctionDef | ast.AsyncFunctionDef


Blanked = tuple[str, list[str], int]


def blanked(split: str) -> Iterator[Blanked]:
    """The short functions of a split, blanked."""
    return (found for found in _short() if split_of(found[0]) == split)


@cache
def _short() -> tuple[Blanked, ...]:
    """Every text once."""
    found = (blank(function) for function in functions() if function.code.count("\n") < _LONGEST)
    return tuple({each[0]: each for each in found}.values())


def blank(function: Function) -> Blanked:
    """A function on one line, every keyword a blank; the kinds of statements it has, sorted; how many statements."""
    statements = [node for node in ast.walk(function.node) if isinstance(node, ast.stmt)][1:]
    kinds = {_KINDS[type(node)] for node in statements if type(node) in _KINDS}
    return " ".join(_BLANK.sub("_", function.code).split()), sorted(kinds), len(statements) - bool(function.docstring)


def halves(split: str) -> Iterator[tuple[str, str, str]]:
    """The upper and the lower half of a function's body, "in order" or, as often as not, "swapped".
    Lan et al. 2020 (ALBERT), section 3.1, https://arxiv.org/abs/1909.11942"""
    for function in functions():
        signature = function.node.body[0].lineno - function.node.lineno
        body = [" ".join(line.split()) for line in function.code.splitlines()[signature:] if line.strip()]
        text, middle = "\n".join(body), len(body) // 2
        if signature and 4 <= len(body) <= 2 * _LONGEST and split_of(text) == split:
            upper, lower = "\n".join(body[:middle]), "\n".join(body[middle:])
            yield (lower, upper, "swapped") if digest(text)[1] % 2 else (upper, lower, "in order")


@cache
def functions() -> tuple[Function, ...]:
    """The functions of the library's packages, every code once."""
    library = Path(sysconfig.get_path("stdlib"))
    files = [path for folder in sorted(packages(library)) for path in sources(folder)]
    found = {function.code: function for path in files for function in _functions_of(path)}
    return tuple(found.values())


def _functions_of(path: Path) -> Iterator[Function]:
    source = path.read_bytes()
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # a sample of broken code, or of another Python's
        return
    lines = source.decode("utf-8", errors="replace").splitlines()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno:
            docstring, first = ast.get_docstring(node) or "", node.body[0]
            left = range(first.lineno - 1, first.end_lineno or 0) if docstring else range(0)
            code = [lines[number] for number in range(node.lineno - 1, node.end_lineno) if number not in left]
            if len(code) >= _SHORTEST:
                yield Function(textwrap.dedent("\n".join(code)), docstring, node)
