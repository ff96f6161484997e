"""`python -m framework new`: what it writes, and what it refuses to write."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from framework import registry
from framework.__main__ import main
from framework.cli.scaffold.new import renamed
from framework.cli.scaffold.texts import KINDS
from framework.config import catalogue

ROOT = Path(__file__).parents[2]
WIDTH = 140


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """The current folder, with nothing in it."""
    catalogue.load()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_task_is_a_plugin_of_the_folder(empty, capsys):
    assert main(["new", "task", "echo"]) == 0
    written = {"README.md", "__init__.py", "data.py", "task.py", "test_echo.py", "conf/model/echo_small.yaml"}
    written |= {f"conf/recipe/echo/{name}.yaml" for name in ("scratch", "finetune")}
    assert files(empty / "plugins" / "echo") == written and files(empty) == {f"plugins/echo/{name}" for name in written}
    said = capsys.readouterr().out
    assert all(f"\n  {name}" in said for name in written)
    assert said.endswith(
        "\nNext:\n  python -m pytest plugins/echo\n  python -m framework describe task/echo\n  python -m framework train task=echo\n"
    )


def test_a_package_has_an_entry_point(empty, capsys):
    assert main(["new", "position", "far_off", "package=true"]) == 0
    package = {"__init__.py", "position.py", "conf/position/far_off_steep.yaml"}
    assert files(empty / "far_off") == {
        *(f"plugformer_far_off/{name}" for name in package),
        "README.md",
        "pyproject.toml",
        "tests/test_far_off.py",
    }
    project = (empty / "far_off" / "pyproject.toml").read_text()
    assert '[project.entry-points."plugformer.plugins"]\nfar_off = "plugformer_far_off"\n' in project
    assert 'name = "plugformer-far-off"' in project
    assert "python -m pip install -e far_off" in capsys.readouterr().out


def test_in_a_clone_train_py_is_what_trains(empty, capsys):
    (empty / "train.py").write_text("")
    assert main(["new", "attention", "tilted"]) == 0
    assert "\n  python train.py model/attention=tilted\n" in capsys.readouterr().out


def test_a_source_is_for_a_task_that_reads_such_rows(empty, capsys):
    assert main(["new", "data", "moods"]) == 0
    found = re.search(r"train task=(\w+) data=moods", capsys.readouterr().out)
    test = (empty / "plugins" / "moods" / "test_moods.py").read_text()
    form = re.search(r'format = "(format/\w+)"', test)
    assert found and form
    assert catalogue.load().option(f"task/{found[1]}")["slots"]["format"]["default"] == form[1].partition("/")[2]
    assert set(catalogue.load().option(form[1])["declarations"]["columns"]) == {"text", "label"}


@pytest.mark.parametrize("package", [[], ["package=true"]], ids=["plugin", "package"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_code_is_short_clean_and_says_its_name(empty, kind, package):
    assert main(["new", kind, "made_up", *package]) == 0
    for name in files(empty):
        text = (empty / name).read_text()
        assert "specimen" not in text.lower(), name
        assert not re.search(r"\{(kind|name|folder|install|train|task|dashed)\b", text) or name.endswith(".py"), name
        assert "specimen" not in name
        if name.endswith(".py"):
            lines = text.splitlines()
            assert ast.get_docstring(ast.parse(text)) and len(lines) < 100 and max(map(len, lines)) <= WIDTH, name
    (test,) = empty.rglob("test_*.py")
    assert len([line for line in test.read_text().splitlines() if line]) <= 11
    assert "made_up" in (next(empty.rglob("README.md"))).read_text()


def test_what_is_written_passes_the_linter(empty):
    pytest.importorskip("ruff")
    for kind in KINDS:
        assert main(["new", kind, f"a_{kind}"]) == 0
    for words in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *words, "--config", str(ROOT / "pyproject.toml"), str(empty)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_an_option_that_its_class_does_not_spell_is_named_outright():
    template = '@register("task")\nclass SpecimenTask: ...'
    assert renamed(template, "order") == '@register("task")\nclass OrderTask: ...'
    assert renamed(template, "order_2") == '@register("task", "order_2")\nclass Order2Task: ...'
    assert registry.option_name("Order2Task", "task") != "order_2"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "write python -m framework new KIND NAME"),
        (["task"], "write python -m framework new"),
        (["task", "a", "b"], "write python -m framework new"),
        (["task", "a", "pakage=true"], "pakage: there is no such option; write"),
        (["task", "a", "package=yes"], "write python -m framework new"),
        (["tsk", "mine"], "tsk (did you mean 'task'?); there are: task, attention, position, data, adapter"),
        (["logger", "mine"], "no template for logger"),
        (["task", "class"], "'class' is not a valid name"),
        (["task", "Mine"], "'Mine' is not a valid name: use lower-case letters"),
        (["task", "my-task"], "'my-task' is not a valid name"),
        (["task", "2nd"], "'2nd' is not a valid name"),
        (["task", "_mine"], "'_mine' is not a valid name"),
        (["task", "../mine"], "'../mine' is not a valid name"),
        (["task", "x" * 31], "has 31 characters; use at most 30"),
        (["attention", "linear"], "attention/linear exists already: "),
        (["attention", "grouped_2"], "attention/grouped_2 exists already: "),
        (["position", "json"], "'json' is the name of an installed module"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_told_and_nothing_is_written(empty, capsys, words, said):
    assert main(["new", *words]) == 2
    out, error = capsys.readouterr()
    assert out == "" and said in error and len(error.splitlines()) == 1
    assert files(empty) == set()


def test_a_folder_that_is_there_stays_as_it_is(empty, capsys):
    (empty / "plugins" / "mine").mkdir(parents=True)
    assert main(["new", "task", "mine"]) == 2
    assert "plugins/mine exists already; nothing was written" in capsys.readouterr().err
    assert files(empty) == set()


def test_a_disk_that_takes_nothing_is_told(empty, capsys):
    (empty / "plugins").write_text("a file")
    assert main(["new", "task", "mine"]) == 2
    assert "cannot be written" in capsys.readouterr().err
