"""`python -m framework export`: what it says, what it writes, and that nothing half-written stays."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from framework.__main__ import main
from framework.export import command, safetensors
from tests.export.runs import make_run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("exported"), "classification")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys, *words):
    """The message of a refusal of the command."""
    assert main(["export", *map(str, words)]) == 2
    message = capsys.readouterr().err
    assert len(message.strip().splitlines()) <= 6
    return message


def test_the_command_as_it_is_typed(run, here):
    command = [sys.executable, "-m", "framework", "export", str(run), "to=safetensors", "folder=deep/out"]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    first, *files, loading = done.stdout.strip().splitlines()
    assert first == "deep/out"
    sizes = {name: int(size.replace(",", "")) for name, size, _ in map(str.split, files)}
    assert sizes == {path.name: path.stat().st_size for path in Path("deep/out").iterdir()}
    assert set(sizes) == {"README.md", "config.yaml", "data_spec.json", "model.safetensors", "run.json", "tokenizer.json"}
    assert loading == 'load     import framework; predictor = framework.load("deep/out")'
    found: dict = {}
    exec(loading.removeprefix("load ").strip(), found)  # what is printed does what it says
    assert found["predictor"].task.training is False
    assert [path.name for path in Path("deep").iterdir()] == ["out"]


def test_every_target_is_a_module_with_library_and_write():
    for target in command.TARGETS:
        module = command.importlib.import_module(f"framework.export.{target}")
        assert module.LIBRARY and callable(module.write), target


REFUSED = {
    "": "export needs to=TARGET: python -m framework export runs/last to=",
    "folder=out": "export needs to=TARGET",
    "to=safetensor folder=out": "to=safetensor is not a target (did you mean 'safetensors'?); targets: huggingface",
    "to=torch": "export needs folder=DEST",
    "to=torch folder=": "export needs folder=DEST",
    "to=safetensors folder=out dtpye=float16": "dtpye is no option of to=safetensors (did you mean 'dtype'?); its options: dtype",
    "to=torch folder=out dtype=float16": "dtype is no option of to=torch; its options: none",
    "to=safetensors folder=out dtype=bf16": "dtype=bf16 is not supported (did you mean 'bfloat16'?); supported: float32",
    "to=safetensors out": "'out' is not an option: python -m framework export",
}


@pytest.mark.parametrize(("words", "said"), REFUSED.items(), ids=REFUSED)
def test_what_cannot_be_is_refused(run, here, capsys, words, said):
    assert said in refused(capsys, run, *words.split())
    assert list(here.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(run, here, capsys):
    (here / "out").mkdir()
    (here / "out" / "mine").write_text("mine")
    message = refused(capsys, run, "to=safetensors", "folder=out")
    assert message.startswith("folder=out: that folder is not empty")
    assert "folder=out/mine: that is a file" in refused(capsys, run, "to=safetensors", "folder=out/mine")
    assert "folder=out/mine/x cannot be written" in refused(capsys, run, "to=safetensors", "folder=out/mine/x")
    assert [path.name for path in (here / "out").iterdir()] == ["mine"]


def test_an_empty_folder_is_taken(run, here):
    (here / "out").mkdir()
    assert main(["export", str(run), "to=safetensors", "folder=out"]) == 0
    assert (here / "out" / "model.safetensors").exists()
    assert (here / "out").stat().st_mode & 0o777 == 0o777 & ~_umask()


def _umask():
    current = os.umask(0)
    os.umask(current)
    return current


def test_a_run_without_a_checkpoint_is_refused(here, capsys):
    run = make_run(here, "classification")
    (run / "checkpoints" / "best.ckpt").unlink()
    assert "has no checkpoint" in refused(capsys, run, "to=safetensors", "folder=out")
    assert "no such run folder" in refused(capsys, here / "gone", "to=safetensors", "folder=out")
    assert "export needs a run folder" in refused(capsys, "to=safetensors", "folder=out")
    assert [path.name for path in here.iterdir()] == ["runs"]


@pytest.mark.parametrize("error", [RuntimeError("a bug"), OSError(28, "No space left on device")], ids=["bug", "disk"])
def test_what_fails_half_way_leaves_nothing(run, here, capsys, monkeypatch, error):
    def broken(loaded, folder):
        (folder / "model.safetensors").write_text("half")
        raise error

    monkeypatch.setattr(safetensors, "write", broken)
    if isinstance(error, OSError):
        assert "folder=out cannot be written: No space left on device" in refused(capsys, run, "to=safetensors", "folder=out")
    else:
        with pytest.raises(RuntimeError, match="a bug"):
            main(["export", str(run), "to=safetensors", "folder=out"])
    assert list(here.iterdir()) == []


def test_a_task_that_is_not_exportable_has_no_program(run, here, capsys, monkeypatch):
    class Other: ...

    for module in ("programs", "huggingface", "card"):
        monkeypatch.setattr(f"framework.export.{module}.Exportable", Other)
    for target in ("torch", "onnx"):
        assert "task/classification has no program: its class must inherit Exportable" in refused(capsys, run, f"to={target}", "folder=out")
    assert main(["export", str(run), "to=safetensors", "folder=out"]) == 0
