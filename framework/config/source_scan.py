"""Static scan of Python files for the parts that they register, without importing them."""

import ast
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from framework.registry import option_name

_DECORATOR = re.compile(
    r"register\(\s*(?:kind=)?[\"'](\w+)[\"'](?:\s*,\s*(?:name=)?[\"']([\w.]+)[\"'])?[^\n]*\)[ \t]*\n(?:[ \t]*@[^\n]*\n)*[ \t]*class (\w+)"
)


def scan(path: Path) -> dict[str, Any]:
    """skeleton: digest of everything but the bodies of methods, on which no entry of the catalogue depends. registers: whether the file
    uses the name `register`. imports: the modules that it names. lines: class -> its line.

    A file that is no Python has the digest of its bytes.
    """
    raw = path.read_bytes()
    try:
        tree = ast.parse(raw)
    except (SyntaxError, ValueError):
        return {"skeleton": _digest(raw), "registers": b"register" in raw, "imports": [], "lines": {}}
    lines = {name: (node.decorator_list[0] if node.decorator_list else node).lineno for name, node in _classes(tree, "")}
    found = {"registers": _registers(tree), "imports": sorted(_imports(tree)), "lines": lines}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    method.body = []
    return {"skeleton": _digest(ast.dump(tree).encode()), **found}


def offered(path: Path) -> list[str]:
    """`KIND/NAME` of the classes that a file registers, as far as its text shows; also of a file that cannot be imported."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return [f"{kind}/{name or option_name(cls, kind)}" for kind, name, cls in _DECORATOR.findall(text)]


def _registers(tree: ast.Module) -> bool:
    """Whether a module uses a name with `register` in it that it imported or defined, or `framework.register`. Methods of other objects
    (`atexit.register`, `self.register_buffer`) are none."""
    ours = {alias.asname or alias.name.partition(".")[0] for alias in _aliases(tree) if alias.name.startswith("framework")} | {"registry"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and _like_register(node.id):
            return True
        if isinstance(node, ast.alias) and _like_register(node.name.rpartition(".")[2]):
            return True
        if isinstance(node, ast.Attribute) and node.attr == "register" and ast.unparse(node.value).partition(".")[0] in ours:
            return True
    return False


def _like_register(name: str) -> bool:
    return "register" in name and not name.startswith("register_")


def _aliases(tree: ast.Module) -> Iterator[ast.alias]:
    yield from (alias for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names)


def _imports(tree: ast.Module) -> set[str]:
    modules = {alias.name for alias in _aliases(tree)}
    return modules | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module and not node.level}


def _classes(tree: ast.AST, prefix: str) -> Iterator[tuple[str, ast.ClassDef]]:
    """Classes of a module and those inside them, with their qualified names."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield f"{prefix}{node.name}", node
            yield from _classes(node, f"{prefix}{node.name}.")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
