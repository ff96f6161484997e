"""Entity types of the names in Python source, from its syntax tree."""

import ast
import builtins
import re
from collections.abc import Sequence
from tokenize import TokenInfo

from .schemes import Entity

TYPES = {name for name in dir(builtins) if isinstance(getattr(builtins, name), type)}
CAMEL = re.compile(r"_*[A-Z]+[a-z]\w*")  # how classes are written


class Names:
    """Functions, classes, modules, parameters and attributes; a dotted name is one entity, `os.path.join(` a function's.

    What is called or decorates is a function, or a class if it is written like one, built in or defined in the same file; so
    are bases, and what is raised and caught. A parameter is one where it is declared, passed by name, or used in its function.
    """

    def __init__(self, source: str, tokens: Sequence[TokenInfo]):
        self.lines = source.splitlines()
        self.strings = [token.string for token in tokens]
        self.places = {token.start: number for number, token in enumerate(tokens)}
        self.classes: set[str] = set(TYPES)
        self.found: dict[int, Entity] = {}

    def of(self, tree: ast.Module) -> list[Entity]:
        self.classes |= {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
        self._look(tree, frozenset())
        return sorted(self.found.values())

    def _look(self, node: ast.AST, parameters: frozenset[str]) -> None:
        """Names what a node names itself, and goes on to what is in it. parameters: of the functions around it."""
        match node:
            case ast.JoinedStr():
                return  # where its names stand is another matter in each version
            case ast.Import():
                for alias in node.names:
                    self._add(self._place(alias), 0, alias.name, "module")
                    if alias.asname:
                        self._add(self._place(alias), len(_parts(alias.name)) + 1, alias.asname, "module")
            case ast.ImportFrom():
                self._from(node)
            case ast.ClassDef():
                self._add(self._place(node), 1, node.name, "class")
                self._all(node.bases, parameters, "class")
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._add(self._place(node), 1 + isinstance(node, ast.AsyncFunctionDef), node.name, "function")
                self._all(node.decorator_list, parameters, "function")
            case ast.arg():
                self._add(self._place(node), 0, node.arg, "parameter")
            case ast.keyword() if node.arg is not None:
                self._add(self._place(node), 0, node.arg, "parameter")
            case ast.Call():
                self._all([node.func], parameters, "function")
            case ast.Raise() if isinstance(node.exc, (ast.Name, ast.Attribute)):
                self._all([node.exc], parameters, "class")
            case ast.ExceptHandler() if node.type is not None:
                self._all(node.type.elts if isinstance(node.type, ast.Tuple) else [node.type], parameters, "class")
            case ast.Attribute():
                self._dotted(node, "attribute")
                while isinstance(node, ast.Attribute):
                    node = node.value
                if not isinstance(node, ast.Name):  # which is a part of what has just been named
                    self._look(node, parameters)
                return
            case ast.Name() if node.id in parameters:
                self._add(self._place(node), 0, node.id, "parameter")
            case ast.Name() if self._class(node.id):
                self._add(self._place(node), 0, node.id, "class")
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            parameters = parameters | {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
        for child in ast.iter_child_nodes(node):
            self._look(child, parameters)

    def _all(self, nodes: Sequence[ast.expr], parameters: frozenset[str], type: str) -> None:
        for node in nodes:
            if isinstance(node, ast.Attribute) or (isinstance(node, ast.Name) and node.id not in parameters):
                self._dotted(node, type)

    def _dotted(self, node: ast.Attribute | ast.Name, type: str) -> None:
        """The dotted name that ends in a node; of what else an attribute is taken from is no part of it."""
        name = ""
        root: ast.expr = node
        while isinstance(root, ast.Attribute):
            name, root = f".{root.attr}{name}", root.value
        name = root.id + name if isinstance(root, ast.Name) else name[1:]
        last = _parts(name)[-1]
        if self._class(last):
            type = "class"
        if isinstance(root, ast.Name):
            self._add(self._place(node), 0, name, type)
        elif node.end_lineno is not None and node.end_col_offset is not None:
            self._add(self._number(node.end_lineno, node.end_col_offset - len(last.encode())), 1 - len(_parts(name)), name, type)

    def _class(self, name: str) -> bool:
        return name in self.classes or CAMEL.fullmatch(name) is not None

    def _from(self, node: ast.ImportFrom) -> None:
        place = self._place(node)
        if place is not None and node.module:
            dots = 1
            while self.strings[place + dots].strip(".") == "":
                dots += 1
            self._add(place, dots, node.module, "module")
        for alias in node.names:
            if self._class(alias.name):
                self._add(self._place(alias), 0, alias.name, "class")

    def _add(self, place: int | None, offset: int, name: str, type: str) -> None:
        """Adds the name that begins `offset` tokens behind a place, unless it has been added: an owner knows better what its parts are for.
        Nothing where the tokens are others."""
        if place is not None:
            start, end = place + offset, place + offset + len(_parts(name))
            if self.strings[start:end] == _parts(name):
                self.found.setdefault(start, Entity(start, end, type))

    def _place(self, node: ast.stmt | ast.expr | ast.arg | ast.keyword | ast.alias) -> int | None:
        return self._number(node.lineno, node.col_offset)

    def _number(self, line: int, column: int) -> int | None:
        """The token that begins at a line and a column; syntax trees count bytes, tokens characters."""
        text = self.lines[line - 1]
        return self.places.get((line, column if text.isascii() else len(text.encode()[:column].decode(errors="ignore"))))


def _parts(name: str) -> list[str]:
    """The tokens of a dotted name."""
    return name.replace(".", " . ").split()
