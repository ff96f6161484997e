"""Rows that need no download: the names in Python's own standard library, tagged by what they name.

A row is the beginning of a function, or lines outside all functions; its tokens are Python's, its entities are read off the
syntax tree (names.py). The running Python's library is read, never imported, so figures differ a little between versions.
"""

import ast
import io
import os
import re
import sysconfig
import tokenize
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from zlib import crc32

from framework.data.formats import Row

from .names import Names
from .schemes import write

ROWS = {"test": 500, "validation": 300, "train": 3000}
LONGEST, SHORTEST = 64, 10  # tokens of a row
LONGEST_TOKEN = 40  # characters; lines with longer ones (docstrings, messages) are prose
LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "idlelib", "lib2to3", "turtledemo", "encodings", "pydoc_data"}
HELD_OUT = {0: "validation", 1: "test", 2: "test"}  # of 12 parts; the others are for training
Tagged = tuple[tuple[str, ...], tuple[str, ...]]  # tokens and their tags
KEPT = {tokenize.NAME, tokenize.OP, tokenize.NUMBER, tokenize.STRING}
KEPT |= {getattr(tokenize, name, tokenize.STRING) for name in ("FSTRING_START", "TSTRING_START")}
TEMPLATE = re.compile("[rR]?[fFtT][rR]?['\"]")  # a string with names in it: one token or several, as the version has it


def rows(split: str) -> Iterator[Row]:
    """The rows of "train", "validation" or "test", always the same and in the same order."""
    for tokens, tags in _rows(split):
        yield {"tokens": list(tokens), "tags": list(tags)}


@cache
def _rows(split: str) -> tuple[Tagged, ...]:
    """Every row once in all splits. A hash of a file's path decides its split: no file changes it when others come or go."""
    root = Path(sysconfig.get_path("stdlib"))
    before = list(ROWS)[: list(ROWS).index(split)]
    known = set().union(*map(_rows, before))
    found: dict[Tagged, None] = {}
    for number, path in sorted((crc32(path.encode()), path) for path in _files(root)):
        if HELD_OUT.get(number % 12, "train") == split and len(found) < ROWS[split]:
            found.update((row, None) for row in rows_of(root / path) if row not in known)
    return tuple(found)[: ROWS[split]]


def _files(root: Path) -> Iterator[str]:
    """Paths below root, with slashes on every system."""
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in LEFT_OUT and not name.startswith("config-")]
        for name in names:
            if name.endswith(".py") and not name.startswith("_sysconfigdata"):  # which describes the machine it was built on
                yield (Path(folder) / name).relative_to(root).as_posix()


def rows_of(path: Path) -> Iterator[Tagged]:
    """Tokens and IOB2 tags of every row of a file."""
    try:
        with tokenize.open(path) as file:  # heeds the file's own declaration of its encoding
            source = file.read()
        tree, (tokens, lines) = ast.parse(source), tokens_of(source)
    except (SyntaxError, UnicodeDecodeError, PermissionError, tokenize.TokenError):  # a sample of broken code, or of another Python's
        return
    found = Names(source, tokens).of(tree)
    tags = write(found, len(tokens))
    for numbers in _stretches(tokens, lines, _functions(tree)):
        yield tuple(tokens[number].string for number in numbers), tuple(tags[number] for number in numbers)


def tokens_of(source: str) -> tuple[list[tokenize.TokenInfo], list[tuple[int, int]]]:
    """The tokens that say something, and the logical lines as ranges of them."""
    tokens: list[tokenize.TokenInfo] = []
    lines, start = [], 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in KEPT:
            tokens.append(token)
        elif token.type == tokenize.NEWLINE:
            lines.append((start, len(tokens)))
            start = len(tokens)
    return tokens, lines


def _functions(tree: ast.Module) -> list[tuple[int, int]]:
    """First and last line of every function that is in no other."""
    found: list[tuple[int, int]] = []

    def look(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found.append((min([child.lineno, *(line.lineno for line in child.decorator_list)]), child.end_lineno or child.lineno))
            else:
                look(child)

    look(tree)
    return found


def _stretches(
    tokens: Sequence[tokenize.TokenInfo], lines: Sequence[tuple[int, int]], functions: Sequence[tuple[int, int]]
) -> Iterator[list[int]]:
    """Numbers of tokens: of a function as many whole lines from its first on as fit, of the lines outside as many as fit each time."""
    owner = {line: number for number, (first, last) in enumerate(functions) for line in range(first, last + 1)}
    held: list[int] = []
    mine: int | None = None
    full = False
    for start, end in lines:
        if any(len(token.string) > LONGEST_TOKEN or TEMPLATE.match(token.string) for token in tokens[start:end]):
            continue
        function = owner.get(tokens[start].start[0])
        fits = len(held) + end - start <= LONGEST
        if function != mine or (function is None and not fits):
            if len(held) >= SHORTEST:
                yield held
            held, mine, full, fits = [], function, False, end - start <= LONGEST
        full = full or not fits  # what follows a line left out would lack it
        if not full:
            held = [*held, *range(start, end)]
        full = full and function is not None
    if len(held) >= SHORTEST:
        yield held
