"""Built-in rows of several labels, of numbers and of pairs: functions of Python's standard library and their statements."""

import ast
import keyword
import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from framework import StandardLibrary, kept_on_disk

from .builtin import digest, packages, sources, split_of

_SHORTEST, _LONGEST = 3, 12  # lines of a function: a longer one has more than 128 tokens
_KINDS = {getattr(ast, name): name.lower() for name in ("If", "For", "While", "Try", "With", "Raise", "Return", "Assert", "Import")}
_KINDS |= {ast.Delete: "del", ast.ImportFrom: "import"}
# Keywords of statements; operators and values stay.
_KEYWORDS = sorted({*keyword.kwlist} - {"and", "or", "not", "in", "is", "None", "True", "False"})
_BLANK = re.compile(rf"\b(?:{'|'.join(_KEYWORDS)})\b")


class Function(NamedTuple):
    """A function of the library: its code without the docstring, the docstring (empty if it has none), and its syntax tree."""

    code: str
    docstring: str
    node: ast.FunctionDef | ast.AsyncFunctionDef


Blanked = tuple[str, list[str], int]


def blanked(split: str) -> Iterator[Blanked]:
    """The short functions of a split, with keywords blanked."""
    return (function for function in _short() if split_of(function[0]) == split)


@kept_on_disk
def _short() -> Iterable[Blanked]:
    """Every text once."""
    short = (blank(function) for function in functions() if function.code.count("\n") < _LONGEST)
    return {each[0]: each for each in short}.values()


def blank(function: Function) -> Blanked:
    """A function on one line with its keywords blanked; the kinds of its statements, sorted; their number."""
    statements = [node for node in ast.walk(function.node) if isinstance(node, ast.stmt)][1:]
    kinds = {_KINDS[type(node)] for node in statements if type(node) in _KINDS}
    return " ".join(_BLANK.sub("_", function.code).split()), sorted(kinds), len(statements) - bool(function.docstring)


def halves(split: str) -> Iterator[tuple[str, str, str]]:
    """The upper and the lower half of a function's body, "in order" or, as often as not, "swapped".
    Lan et al. 2020 (ALBERT), section 3.1, https://arxiv.org/abs/1909.11942"""
    return ((first, second, order) for first, second, order, text_split in _halves() if text_split == split)


@kept_on_disk
def _halves() -> Iterator[tuple[str, str, str, str]]:
    """Both halves, their order and the split, of all functions."""
    for function in functions():
        signature = function.node.body[0].lineno - function.node.lineno
        body = [" ".join(line.split()) for line in function.code.splitlines()[signature:] if line.strip()]
        text, middle = "\n".join(body), len(body) // 2
        if signature and 4 <= len(body) <= 2 * _LONGEST:
            upper, lower = "\n".join(body[:middle]), "\n".join(body[middle:])
            split = split_of(text)
            yield (lower, upper, "swapped", split) if digest(text)[1] % 2 else (upper, lower, "in order", split)


def functions() -> Iterable[Function]:
    """The functions of the library's packages, every code once."""
    files = [path for folder in sorted(packages(StandardLibrary().root)) for path in sources(folder)]
    return {function.code: function for path in files for function in _functions_of(path)}.values()


def _functions_of(path: Path) -> Iterator[Function]:
    if not (parsed := StandardLibrary.parse(path)):
        return
    lines = parsed[0].splitlines()
    for node in StandardLibrary.functions(parsed[1]):
        if node.end_lineno:
            docstring, first = ast.get_docstring(node) or "", node.body[0]
            left_out = range(first.lineno - 1, first.end_lineno or 0) if docstring else range(0)
            code = [lines[number] for number in range(node.lineno - 1, node.end_lineno) if number not in left_out]
            if len(code) >= _SHORTEST:
                yield Function(textwrap.dedent("\n".join(code)), docstring, node)
