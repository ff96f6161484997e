"""Scaffolds of `new`, generated in an empty folder and installed: they pass their own tests and train."""

import os
import re
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from framework.__main__ import main
from framework.config import catalogue
from tests.scaffold.contracts import share_of

ROOT = Path(__file__).parents[2]
NAMES = {"task": "colors", "attention": "tilted"}
TINY = "trainer.max_steps=3 model.dim=16 model.num_heads=2 model.num_layers=1 trainer.accelerator=cpu callbacks.progress.style=off".split()

pytestmark = pytest.mark.slow


def write(folder: Path, *words: str) -> dict[str, str]:
    """One of each kind in a folder (all kinds: test_every_kind.py). Kind -> the overrides that its README says to train with."""
    catalogue.load()
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for kind, name in NAMES.items():
            assert main(["new", kind, name, *words]) == 0
            (readme,) = folder.rglob(f"{name}/README.md")
            found[kind] = re.findall(r"^python -m framework train (.*)$", readme.read_text(), re.MULTILINE)[0]
    return found


def run(python: Path | str, folder: Path, *words: str, **variables: str) -> str:
    around = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    done = subprocess.run([str(python), *words], cwd=folder, env=around, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory, pytestconfig) -> str:
    """The output where packages are installed, tested and trained with, in one process, for its imports cost the most."""
    folder, environment = tmp_path_factory.mktemp("packages"), tmp_path_factory.mktemp("environment")
    training = write(folder, "package=true")
    venv.create(environment, with_pip=False)
    packages = next(environment.glob("lib/python*/site-packages"))
    (packages / "borrowed.pth").write_text("\n".join([str(ROOT), *site.getsitepackages()]) + "\n")
    words = ["--no-index", "--no-deps", "--no-build-isolation", "--quiet", "--disable-pip-version-check"]
    names = [str(folder / name) for name in NAMES.values()]
    run(sys.executable, folder, "-m", "pip", "--python", str(environment), "install", *words, *names)
    program = f"""\
from framework.__main__ import main
from tests.scaffold.contracts import tested

print("tests", tested(["-q", "-rA", "--no-header", *{list(NAMES.values())!r}], {share_of(pytestconfig)}))
for kind, words in {training!r}.items():
    task = [] if "task=" in words else ["task={NAMES["task"]}"]  # it has the smallest rows
    print("trained", kind, main(["train", *words.split(), *task, *{TINY!r}]), flush=True)
"""
    (folder / "program.py").write_text(program)
    return run(environment / "bin" / "python", folder, "program.py")


@pytest.mark.parametrize("kind", NAMES)
def test_a_package_is_installed_passes_its_own_test_and_trains(installed, kind):
    assert "\ntests 0\n" in installed
    passed = re.findall(rf"^PASSED .*/test_{NAMES[kind]}\.py::\w+::(\w+)", installed, re.MULTILINE)
    assert len(passed) >= 4, installed
    assert f"\ntrained {kind} 0\n" in installed


def test_a_folder_of_somebody_elses_plugins_is_left_alone(tmp_path):
    """Packages that do not speak of the framework are not imported, and one whose name Python knows is left out."""
    (tmp_path / "plugins" / "theirs").mkdir(parents=True)
    (tmp_path / "plugins" / "theirs" / "__init__.py").write_text("raise SystemExit('imported')")
    program = "from framework.config.discovery import origins; print(*[origin.package for origin in origins()])"
    assert "theirs" not in run(sys.executable, tmp_path, "-c", program, PYTHONPATH=str(ROOT))
    (tmp_path / "plugins" / "json").mkdir()
    (tmp_path / "plugins" / "json" / "__init__.py").write_text("from framework.registry import register\n")
    program = "from framework.config.discovery import origins; print(*[origin.problem for origin in origins() if origin.problem])"
    assert "another module named json" in run(sys.executable, tmp_path, "-c", program, PYTHONPATH=str(ROOT))
