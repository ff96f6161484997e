"""Imports run one way, and what must stay light stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Rooms by floor, the highest first. A room imports from itself and from lower floors, never from its own floor or from above.
FLOORS = [
    ["train", "framework.__main__"],
    ["framework.cli"],
    ["framework.workflows", "framework.export", "framework.planning"],
    ["framework.reporting"],
    ["framework.explaining"],
    ["framework.pretrained", "framework.testing", "framework.comparing"],
    ["framework.runs", "framework.training", "plugins"],
    ["framework.tasks"],
    ["framework.models", "framework.generation", "framework.huggingface"],
    ["framework.parts", "framework.data", "framework.metrics", "framework.tracking", "framework.config"],
    ["framework.registry", "framework.weights"],
    ["framework.utils"],
    ["framework.errors"],
]
LOOSE = {"__init__", "__main__", "errors"}  # modules that stand in framework/ itself
HYDRA = {
    f"framework/{name}.py"
    for name in (
        "config/compose",
        "config/diagnose",
        "config/hydra_compose",
        "config/hydra_source",
        "config/presets",
        "config/quoting",
        "config/recipes",
        "config/space",
        "config/sweeping",
        "cli/launchers",
        "cli/sweep",
        "cli/train",
        "runs/resume",
    )
}


def _sources():
    return [path for folder in ("framework", "plugins") for path in sorted((ROOT / folder).rglob("*.py"))] + [ROOT / "train.py"]


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imports(path: Path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(_name(path).split(".")[: -node.level + (path.name == "__init__.py") or None]) if node.level else ""
            module = ".".join(part for part in (package, node.module) if part)
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _room(name: str) -> tuple[int, str] | None:
    """The number of the floor, counted from the top, and the room of a module."""
    for number, floor in enumerate(FLOORS):
        for room in floor:
            if name == room or name.startswith(f"{room}."):
                return number, room
    return None


@pytest.mark.parametrize("path", _sources(), ids=_name)
def test_imports_run_one_way(path):
    name = _name(path)
    for imported in _imports(path):
        if name.startswith("plugins."):
            own = ".".join(name.split(".")[:2])
            assert not imported.startswith("plugins.") or imported.startswith(own), f"{name} imports another plugin: {imported}"
        if (outer := _room(name)) and (inner := _room(imported)) and outer != inner:
            assert outer[0] < inner[0], f"{name} imports {imported}, which does not stand below it"
        assert not (name.startswith("framework") and imported.startswith("plugins")), f"{name} names a plugin: {imported}"
        if imported.split(".")[0] in ("hydra", "omegaconf"):
            assert path.relative_to(ROOT).as_posix() in HYDRA, f"{name} imports {imported}"
        if imported.split(".")[0] == "wandb":
            assert name.startswith("framework.tracking."), f"{name} imports wandb"
        assert imported.split(".")[0] != "transformers", f"{name} imports transformers"


def test_every_module_has_a_room():
    assert [_name(path) for path in _sources() if _room(_name(path)) is None] == ["framework"]
    assert {path.stem for path in (ROOT / "framework").glob("*.py")} == LOOSE


def test_help_and_configs_do_not_import_torch():
    """In one process: of modules that import something heavy, the first is named."""
    modules = ["framework", "framework.config.catalogue", "framework.config.constraints", "framework.config.compose", "framework.cli.train"]
    modules += ["framework.workflows.start", "framework.workflows.processes", "framework.comparing.command", "framework.reporting.command"]
    heavy = ["torch", "wandb", "datasets", "torchmetrics", "pytorch_lightning"]
    code = f"""\
import importlib, sys
for module in {modules}:
    importlib.import_module(module)
    if found := [name for name in {heavy} if name in sys.modules]:
        sys.exit(f"{{module}} imports {{found}}")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
