"""A wheel in a fresh environment and an empty folder, without the clone; and a package from outside beside it."""

import json
import os
import shutil
import site
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
TINY = ["model.dim=16", "model.num_heads=2", "model.num_layers=1", "trainer.accelerator=cpu"]
REVIEWS = "text,label\n" + "".join(
    f"{word} film number {number},{label}\n" for number in range(8) for word, label in (("good", "yes"), ("bad", "no"))
)

pytestmark = pytest.mark.slow


class Machine:
    """A virtual environment, and a folder to stand in that has nothing of the clone in it."""

    def __init__(self, folder: Path):
        self.environment, self.folder = folder / "environment", folder / "empty"
        self.folder.mkdir()
        venv.create(self.environment, with_pip=False)
        self.packages = next(self.environment.glob("lib/python*/site-packages"))
        self.variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self.variables["PLUGFORMER_CACHE"] = str(folder / "cache")
        self.added: set[str] = set()  # to site-packages, by the wheel

    def install(self, *what: str) -> None:
        """From disk alone: no index is asked for anything."""
        words = ["--no-index", "--no-deps", "--no-build-isolation", "--quiet", "--disable-pip-version-check"]
        self._run([sys.executable, "-m", "pip", "--python", str(self.environment), "install", *words, *what])

    def borrow(self) -> None:
        """An environment with the dependencies of the tests, so that nothing is downloaded."""
        (self.packages / "borrowed.pth").write_text("\n".join(site.getsitepackages()) + "\n")

    def python(self, *words: str) -> str:
        return self._run([str(self.environment / "bin" / "python"), *words])

    def commands(self, *commands: Sequence[str]) -> list[str]:
        """Standard output of each command; all run in one process, because imports cost the most."""
        program = "import json, sys; from framework.__main__ import main; "
        program += "sys.exit(max(main(words) or print('\f') or 0 for words in json.loads(sys.argv[1])))"
        return self.python("-c", program, json.dumps(commands)).split("\f")[:-1]

    def _run(self, command: list[str]) -> str:
        result = subprocess.run(command, cwd=self.folder, env=self.variables, capture_output=True, text=True)
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        return result.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy, so that the clone gets no build folder."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("framework", "plugins", "conf"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(copy: Path) -> Path:
    words = ["--no-index", "--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(copy / "dist")]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *words, str(copy)], check=True)
    return next((copy / "dist").glob("plugformer-*.whl"))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Machine:
    made = Machine(tmp_path_factory.mktemp("machine"))
    made.install(str(wheel))
    made.added = {path.name for path in made.packages.iterdir()}
    made.borrow()
    (made.folder / "reviews.csv").write_text(REVIEWS)
    return made


@pytest.fixture(scope="module")
def guest(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """The same with a package from outside."""
    outside = tmp_path_factory.mktemp("guest") / "outside"
    shutil.copytree(Path(__file__).parent / "outside", outside)
    machine.install(str(outside))
    return machine


def test_the_wheel_holds_every_module_and_preset(wheel: Path):
    framework = [path for pattern in ("*.py", "*.yaml", "py.typed") for path in (ROOT / "framework").rglob(pattern)]
    expected = {path.relative_to(ROOT).as_posix() for path in framework}
    for folder, patterns in {"plugins": ("*.py", "*.yaml"), "conf": ("*.yaml",)}.items():
        expected |= {f"framework/{path.relative_to(ROOT).as_posix()}" for pattern in patterns for path in (ROOT / folder).rglob(pattern)}
    inside = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert inside == expected


def test_site_packages_gains_one_package(machine: Machine):
    names = {name for name in machine.added if not name.endswith(".dist-info")}
    assert names == {"framework"}
    assert [name for name in machine.added if name.endswith(".dist-info")] == ["plugformer-0.1.0.dist-info"]


def test_what_is_imported_is_the_wheel(machine: Machine):
    where = machine.python("-c", "import framework; print(framework.__file__)").strip()
    assert Path(where).is_relative_to(machine.packages)


def test_the_wheel_lists_trains_and_predicts(machine: Machine):
    files = ["data=files", "data.train=reviews.csv", "data.test=reviews.csv"]
    training = ["train", "task=classification", *files, *TINY, "trainer.max_steps=3", "task.baseline=false"]
    listed, _, answer = machine.commands(["list", "task"], training, ["predict", "runs/last", "text=a good film"])
    assert "classification" in listed and "completion" in listed and "translation" in listed
    figures = json.loads((machine.folder / "runs" / "last" / "metrics.json").read_text())
    assert 0 <= figures["test/accuracy"] <= 1
    assert json.loads(answer)["prediction"] in ("yes", "no")
    assert {path.name for path in machine.folder.iterdir()} == {"reviews.csv", "runs"}


@pytest.fixture(scope="module")
def told(guest: Machine) -> list[str]:
    """Standard output of help, list, a training and a prediction."""
    training = ["optimizer.lr=0.01", "trainer.max_epochs=40", "trainer.check_val_every_n_epoch=40"]
    return guest.commands(["train", "--help"], ["list"], ["train", "task=reversal", *TINY, *training], ["predict", "runs/last", "text=abc"])


def test_a_package_from_outside_shows_in_the_help(told: list[str]):
    assert "reversal" in told[0] and "tied" in told[0]
    for name in ("reversal", "tied", "outside_tiny"):
        assert any(line.split()[:1] == [name] and "plugformer-outside" in line for line in told[1].splitlines()), name


def test_a_package_from_outside_trains_and_decodes(guest: Machine, told: list[str]):
    run = guest.folder / "runs" / "last"
    config = (run / "config.yaml").read_text()
    assert "attention/tied" in config and "task/reversal" in config
    rows = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    assert len(rows) == 16 and all(row["reference"] == row["input"][::-1] for row in rows)
    answer = json.loads(told[3])["prediction"]
    assert answer and set(answer) <= set("abcdef")  # hardly trained: some letters, then an end


def test_an_editable_install_finds_its_plugins_from_any_folder(copy: Path, tmp_path: Path):
    made = Machine(tmp_path)
    made.borrow()
    made.install("--editable", str(copy))
    program = "import importlib; from framework.config.discovery import origins; [importlib.import_module(o.package) for o in origins()]"
    made.python("-c", program)
