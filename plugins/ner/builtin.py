"""Built-in rows: the names in the source of Python's standard library, tagged by what they name.

A row is the beginning of a function, or lines outside of functions; its tokens are Python's, its entities are from the syntax
tree (names.py). The running Python's own library is read, so metrics differ a little between Python versions.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path

from framework import Row, StandardLibrary, kept_on_disk

from .names import Names
from .schemes import write

ROWS = {"test": 500, "validation": 300, "train": 3000}
LONGEST, SHORTEST = 64, 10  # tokens of a row
LONGEST_TOKEN = 40  # characters; lines with longer ones (docstrings, messages) are prose
HELD_OUT = {0: "validation", 1: "test", 2: "test"}  # of 12 parts; the others are for training
Tagged = tuple[tuple[str, ...], tuple[str, ...]]  # tokens and their tags
KEPT = {tokenize.NAME, tokenize.OP, tokenize.NUMBER, tokenize.STRING}
KEPT |= {getattr(tokenize, name, tokenize.STRING) for name in ("FSTRING_START", "TSTRING_START")}
TEMPLATE = re.compile("[rR]?[fFtT][rR]?['\"]")  # a string with names in it: one token or several, by Python version


def rows(split: str) -> Iterator[Row]:
    """The rows of "train", "validation" or "test", always the same and in the same order."""
    for tokens, tags in _rows(split):
        yield {"tokens": list(tokens), "tags": list(tags)}


@kept_on_disk
def _rows(split: str) -> tuple[Tagged, ...]:
    """Every row once in all splits. A hash of its path decides the split of a file."""
    library = StandardLibrary()
    before = list(ROWS)[: list(ROWS).index(split)]
    known = {(tuple(tokens), tuple(tags)) for other in before for tokens, tags in _rows(other)}
    chosen: dict[Tagged, None] = {}
    for number, path in library.hashed():
        if HELD_OUT.get(number % 12, "train") == split and len(chosen) < ROWS[split]:
            chosen.update((row, None) for row in rows_of(library.root / path) if row not in known)
    return tuple(chosen)[: ROWS[split]]


def rows_of(path: Path) -> Iterator[Tagged]:
    """Tokens and IOB2 tags of every row of a file."""
    if not (parsed := StandardLibrary.parse(path)):
        return
    source, tree = parsed
    tokens, lines = tokens_of(source)
    tags = write(Names(source, tokens).of(tree), len(tokens))
    for numbers in _stretches(tokens, lines, _functions(tree)):
        yield tuple(tokens[number].string for number in numbers), tuple(tags[number] for number in numbers)


def tokens_of(source: str) -> tuple[list[tokenize.TokenInfo], list[tuple[int, int]]]:
    """The tokens without comments and layout, and the logical lines as ranges of them."""
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
    """First and last line of every outermost function."""
    functions = ((node.lineno, node.end_lineno or node.lineno, node.decorator_list) for node in StandardLibrary.functions(tree))
    spans = sorted((min([first, *(line.lineno for line in decorators)]), last) for first, last, decorators in functions)
    outermost: list[tuple[int, int]] = []
    for first, last in spans:
        if not outermost or first > outermost[-1][1]:
            outermost.append((first, last))
    return outermost


def _stretches(
    tokens: Sequence[tokenize.TokenInfo], lines: Sequence[tuple[int, int]], functions: Sequence[tuple[int, int]]
) -> Iterator[list[int]]:
    """Indices of the tokens of a row: the first whole lines of a function, or successive lines outside of functions, up to LONGEST."""
    function_at = {line: number for number, (first, last) in enumerate(functions) for line in range(first, last + 1)}
    row: list[int] = []
    current: int | None = None
    full = False
    for start, end in lines:
        if any(len(token.string) > LONGEST_TOKEN or TEMPLATE.match(token.string) for token in tokens[start:end]):
            continue
        function = function_at.get(tokens[start].start[0])
        fits = len(row) + end - start <= LONGEST
        if function != current or (function is None and not fits):
            if len(row) >= SHORTEST:
                yield row
            row, current, full, fits = [], function, False, end - start <= LONGEST
        full = full or not fits  # no lines after one that was left out
        if not full:
            row = [*row, *range(start, end)]
        full = full and function is not None
    if len(row) >= SHORTEST:
        yield row
