"""Imports run one way, and what must stay light stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# A layer may import what stands after it, never what stands before it.
LAYERS = [
    ["train", "framework.__main__"],
    ["framework.launch", "framework.scaffold", "framework.scaffolds"],
    ["framework.use", "framework.resume", "framework.processes", "framework.exporting"],
    ["framework.compose", "framework.run", "framework.testing"],
    ["framework.diagnose", "framework.card", "framework.toys", "framework.preparing", "framework.pretrained", "framework.teacher"],
    ["framework.beginnings"],
    ["framework.published"],
    ["framework.hydra_source"],
    ["framework.adapter_file", "framework.making", "framework.differences", "framework.legality", "framework.validate", "framework.menu"]
    + ["framework.checkpoint", "framework.runs", "framework.layers_taken"],
    ["framework.catalogue"],
    ["framework.inventory"],
    ["framework.training", "framework.data", "framework.generation", "framework.tracking"],
    ["framework.models"],
    ["framework.parts"],
    ["framework.registry", "framework.discovery"],
    ["framework.patterns"],
    ["framework.errors", "framework.files", "framework.hub", "framework.shapes", "framework.json_table"],
]
# Facts and formats are the vocabulary that the layers share; they import nothing of ours but each other.
SHARED = ("framework.data.facts", "framework.data.formats", "framework.catalogue.cache_folder")
HYDRA = {f"framework/{name}.py" for name in ("compose", "diagnose", "hydra_source", "launch", "resume")}


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


def _layer(name: str) -> int | None:
    for depth, layer in enumerate(LAYERS):
        if any(name == prefix or name.startswith(f"{prefix}.") for prefix in layer):
            return depth
    return None


@pytest.mark.parametrize("path", _sources(), ids=_name)
def test_imports_run_one_way(path):
    name = _name(path)
    for imported in _imports(path):
        if imported.startswith(SHARED):
            continue
        if name.startswith("plugins."):
            own = ".".join(name.split(".")[:2])
            assert not imported.startswith("plugins.") or imported.startswith(own), f"{name} imports another plugin: {imported}"
        elif (inner := _layer(imported)) is not None and (outer := _layer(name)) is not None:
            assert outer <= inner, f"{name} imports {imported}, which stands above it"
        assert not (name.startswith("framework") and imported.startswith("plugins")), f"{name} names a plugin: {imported}"
        if imported.split(".")[0] in ("hydra", "omegaconf"):
            assert path.relative_to(ROOT).as_posix() in HYDRA, f"{name} imports {imported}"
        if imported.split(".")[0] == "wandb":
            assert name.startswith("framework.tracking."), f"{name} imports wandb"
        assert imported.split(".")[0] != "transformers", f"{name} imports transformers"


def test_every_module_has_a_layer():
    unplaced = [_name(path) for path in _sources() if _layer(_name(path)) is None and not _name(path).startswith("plugins")]
    assert unplaced == ["framework"]


@pytest.mark.parametrize("module", ["framework", "framework.catalogue", "framework.legality", "framework.compose", "framework.launch"])
def test_menus_and_configs_do_not_import_torch(module):
    heavy = ["torch", "wandb", "datasets", "torchmetrics", "pytorch_lightning"]
    code = f"import {module}, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
