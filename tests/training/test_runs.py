"""Run folders: unique, complete, found again; other folders are refused."""

import json
import sys
from pathlib import Path

import pytest

from framework.errors import UserError
from framework.runs import folder as runs
from framework.runs.folder import Run

CONFIG = {
    "name": "small",
    "seed": 1,
    "task": {"part": "task/classification", "rate": 1e-05},
    "model": {"part": "model/encoder_only", "name": "größer"},
    "tokenizer": None,
}


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The catalogue is not read."""
    monkeypatch.setattr(runs, "distributions", lambda config: {"task/classification": "plugformer 0.1"})


def created(root, name="small", task="classification", **options):
    return Run.create(root, task, {**CONFIG, "name": name}, **options)


def test_a_run_comes_back_as_it_was_saved(tmp_path):
    run = created(tmp_path, overrides=["a=1"], chosen={"model": "encoder_only"})
    again = Run.open(run.folder)
    assert again.config() == CONFIG
    assert (again.overrides(), again.chosen()) == (["a=1"], {"model": "encoder_only"})
    notes = json.loads((run.folder / "run.json").read_text())
    assert notes["parts"] == {"task/classification": "plugformer 0.1"}
    assert notes["versions"]["torch"] and notes["versions"]["python"]
    assert run.folder.parent == tmp_path / "classification" and run.folder.name.startswith("small_20")


def test_two_runs_of_one_second_have_two_folders_and_last_is_the_second(tmp_path):
    one, two = created(tmp_path), created(tmp_path)
    assert one.folder != two.folder
    assert Run.open(tmp_path / "last").folder == two.folder.resolve()


def test_last_is_a_file_where_links_are_not_possible(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError

    monkeypatch.setattr(Path, "symlink_to", refuse)
    run = created(tmp_path)
    assert (tmp_path / "last").is_file()
    assert Run.open(tmp_path / "last").folder == run.folder.resolve()


def test_a_folder_that_moved_is_still_a_run(tmp_path):
    run = created(tmp_path)
    (tmp_path / "moved").mkdir()
    moved = run.folder.rename(tmp_path / "moved/x")
    assert Run.open(moved).config() == CONFIG


def test_the_newest_of_a_name(tmp_path):
    created(tmp_path, "small")
    wanted = created(tmp_path, "small")
    created(tmp_path, "small_too")
    created(tmp_path, "small", task="translation")
    found = Run.newest(tmp_path, "classification", "small")
    assert found is not None and found.folder == wanted.folder.resolve()
    assert Run.newest(tmp_path, "classification", "smal") is None


def test_a_resumed_run_keeps_its_folder_and_both_command_lines(tmp_path):
    run = created(tmp_path, overrides=["a=1"])
    again = run.go_on({**CONFIG, "seed": 2}, ["resume=runs/last", "b=2"])
    assert again.folder == run.folder
    assert Run.open(run.folder).config()["seed"] == 2
    assert Run.open(run.folder).overrides() == ["a=1", "b=2"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "there is no such run folder"),
        (lambda path: path.mkdir(), "it has no config.yaml"),
        (lambda path: (path.mkdir(), (path / "config.yaml").write_text("a: [")), "is damaged"),
        (lambda path: (path.mkdir(), (path / "config.yaml").write_bytes(b"\xff\xfe\x00")), "is damaged"),
        (lambda path: (path.mkdir(), (path / "config.yaml").write_text("- 1")), "is not the config of a run"),
        (lambda path: (path.mkdir(), (path / "config.yaml").write_text("!!python/object/apply:os.system [id]")), "is damaged"),
    ],
)
def test_folders_that_are_no_run(tmp_path, make, said):
    make(tmp_path / "x")
    with pytest.raises(UserError, match=said) as caught:
        Run.open(tmp_path / "x")
    assert len(str(caught.value).splitlines()) <= 6 and "x" in str(caught.value)


def test_final_metrics(tmp_path):
    run = created(tmp_path)
    assert run.objective() is None
    run.save_metrics({"validation/loss": 1.5, "test/loss": 2.0}, "validation/loss")
    assert json.loads((run.folder / "metrics.json").read_text()) == {"validation/loss": 1.5, "test/loss": 2.0}
    assert Run.open(run.folder).objective() == 1.5


def test_sizes_of_the_data(tmp_path):
    run = Run.create(tmp_path, "classification", CONFIG)
    assert run.sizes() == {}
    sizes = {"train": {"rows": 3, "tokens": 7, "dropped": 0, "truncated": 0}}
    run.save_sizes(sizes, ["train: few rows"])
    assert Run.open(run.folder).sizes() == sizes and Run.open(run.folder).remarks() == ["train: few rows"]
    assert run.versions()["torch"] and run.overrides() == []  # and nothing else is lost


def test_printed_text_is_saved(tmp_path, capsys):
    run = created(tmp_path)
    with run.logged():
        print("trained")
        print("warned", file=sys.stderr)
    print("later")
    assert (run.folder / "train.log").read_text() == "trained\nwarned\n"
    assert capsys.readouterr() == ("trained\nlater\n", "warned\n")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    with pytest.raises(UserError, match="File name too long; name=NAME"):
        Run.create(tmp_path, "toy", {"name": "a" * 300})
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot have the folder"):
        Run.create(tmp_path / "file", "toy", {"name": "a"})
