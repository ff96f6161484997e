"""Source of rows that need no download: the files of the running Python's own standard library."""

import ast
import os
import sysconfig
import tokenize
import warnings
from collections import deque
from collections.abc import Collection, Iterator
from pathlib import Path
from zlib import crc32

from framework.data.formats import Row

# Folders that are not the library itself (tests, installed packages), or not written by hand (code pages, help texts).
LEFT_OUT = frozenset("test tests idle_test site-packages dist-packages idlelib lib2to3 turtledemo encodings pydoc_data".split())
HELD_OUT = {0: "validation", 1: "test"}  # of 20 parts; the others are for training
Function = ast.FunctionDef | ast.AsyncFunctionDef
STATEMENTS = (ast.stmt, ast.excepthandler, ast.match_case)  # and what holds statements


class StandardLibrary:
    """The Python files below a folder, by default of the standard library. They are read, never imported.

    >>> library = StandardLibrary()
    >>> text, tree = library.parse(library.root / "heapq.py")
    >>> next(node.name for node in library.functions(tree))
    'heappush'
    """

    held_out_share = 0.1  # of the training part's size, at most

    def __init__(self, root: Path | None = None):
        self.root = root or Path(sysconfig.get_path("stdlib"))

    def paths(self, left_out: Collection[str] = LEFT_OUT) -> Iterator[str]:
        """Paths below the root, with slashes on every system."""
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if name not in left_out and not name.startswith("config-")]
            for name in names:
                if name.endswith(".py") and not name.startswith("_sysconfigdata"):  # describes the machine it was built on
                    yield (Path(folder) / name).relative_to(self.root).as_posix()

    def hashed(self) -> list[tuple[int, str]]:
        """Hash and path of each file, ordered by hash: no file changes its split or place when others come or go."""
        return sorted((crc32(path.encode()), path) for path in self.paths())

    @staticmethod
    def split_of(hash: int) -> str:
        """The split of a file or text of this hash."""
        return HELD_OUT.get(hash % 20, "train")

    @staticmethod
    def read(path: Path) -> str | None:
        """The text of a file in the encoding that it declares. None: it cannot be read."""
        try:
            with tokenize.open(path) as file:
                return file.read()
        except (SyntaxError, UnicodeDecodeError, PermissionError):
            return None

    @classmethod
    def parse(cls, path: Path) -> tuple[str, ast.Module] | None:
        """Text and syntax tree of a file. None: it is of another Python version, or broken on purpose."""
        if (text := cls.read(path)) is None:
            return None
        try:
            with warnings.catch_warnings(action="ignore"):  # of invalid escapes
                return text, ast.parse(text)
        except (SyntaxError, ValueError):
            return None

    @staticmethod
    def definitions(tree: ast.Module) -> Iterator[ast.Module | ast.ClassDef | Function]:
        """The module, every class and every function, in the order of `ast.walk`; expressions, which hold none, are not looked at."""
        nodes: deque[ast.AST] = deque([tree])
        while nodes:
            node = nodes.popleft()
            nodes += [child for child in ast.iter_child_nodes(node) if isinstance(child, STATEMENTS)]
            if isinstance(node, ast.Module | ast.ClassDef | Function):
                yield node

    @classmethod
    def functions(cls, tree: ast.Module) -> Iterator[Function]:
        """Every function, also those in classes and in other functions."""
        return (node for node in cls.definitions(tree) if isinstance(node, Function))

    def rows(self, split: str, megabytes: float) -> Iterator[Row]:
        """The files of a split as rows of one `text`: the first ones that fit into its size, at least one."""
        left = 1e6 * megabytes * (1 if split == "train" else self.held_out_share)
        first = True
        for hash, path in self.hashed():
            if self.split_of(hash) != split or (text := self.read(self.root / path)) is None:
                continue
            left -= len(text.encode())
            if left < 0 and not first:
                return
            first = False
            yield {"text": text}
