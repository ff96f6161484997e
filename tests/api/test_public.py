"""The public surface: what `framework` offers, without loading anything heavy until a name is used."""

import ast
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import framework

ROOT = Path(__file__).parents[2]


def test_the_surface_is_what_dir_lists():
    assert dir(framework) == framework.__all__ and not {name for name in dir(framework) if name.startswith("_")}
    with pytest.raises(AttributeError, match="no_such_name"):
        framework.no_such_name  # noqa: B018 - the access is what raises


@pytest.mark.parametrize("name", dir(framework))
def test_a_public_name_is_that_of_its_module(name):
    value = getattr(framework, name)
    assert value is getattr(sys.modules[framework._MODULES[name]], name)
    if isinstance(value, type) or inspect.isfunction(value):
        assert value.__module__ == framework._MODULES[name], f"{name} is defined in another module"


def test_no_public_name_hides_a_subpackage():
    assert not {module.name for module in pkgutil.iter_modules(framework.__path__)} & set(dir(framework))


def test_importing_loads_nothing():
    code = "import sys; before = set(sys.modules); import framework; framework.UserError; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(ast.literal_eval(done.stdout))
    assert not {name for name in loaded if name.partition(".")[0] in ("torch", "hydra", "numpy", "yaml", "omegaconf", "pytorch_lightning")}
    registry = {f"framework.registry{name}" for name in ("", ".names", ".rule_functions", ".rules", ".signature")}
    assert {name for name in loaded if name.startswith("framework")} == {"framework", "framework.errors", *registry}


def _sources_of_plugins() -> list[Path]:
    """Sources that import from the public API alone: plugins, templates, the package from outside, and pages."""
    code = [
        path
        for folder in ("plugins", "tests/packaging/outside", "tests/strangers/plugins")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]
    templates = sorted((ROOT / "framework" / "cli" / "scaffold").glob("*/*.py"))
    return [*code, *templates, *sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


@pytest.mark.parametrize("path", _sources_of_plugins(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_plugins_templates_and_pages_import_from_the_public_api_alone(path):
    imported = re.findall(r"^\s*(?:from|import)\s+(framework\.[\w.]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(imported) <= {"framework.testing"}
