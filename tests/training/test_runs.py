"""Run folders: unique, complete, found again; other folders are refused. And how a run's life and its output are recorded."""

import errno
import json
import math
import os
import signal
import sys
from pathlib import Path

import pytest

from framework.errors import UserError
from framework.runs import folder as runs
from framework.runs import life, lock, log
from framework.runs.finding import newest, point_last, wanted
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


def test_two_runs_of_one_second_have_two_folders(tmp_path):
    one, two = created(tmp_path), created(tmp_path)
    assert one.folder != two.folder
    assert sorted((tmp_path / "classification").iterdir()) == sorted((one.folder, two.folder))  # and nothing else is left


def test_last(tmp_path):
    one, two = created(tmp_path), created(tmp_path)
    for run in (one, two, one):
        point_last(tmp_path / "elsewhere", run.folder)
        assert Run.open(tmp_path / "elsewhere/last").folder == run.folder.resolve()


@pytest.mark.parametrize("name", ["save_config", "save_notes"])
def test_a_run_killed_while_its_folder_is_made_has_none(tmp_path, monkeypatch, name):
    class Killed(BaseException):
        pass

    def kill(*arguments):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Run, name, kill)
        patch.setattr("shutil.rmtree", lambda *arguments, **options: None)  # nor does it tidy up
        with pytest.raises(Killed):
            created(tmp_path)
    assert newest(tmp_path, "classification", "small") is None
    run = created(tmp_path)
    found = newest(tmp_path, "classification", "small")
    assert found is not None and found.folder == run.folder.resolve()


def test_last_is_a_file_where_links_are_not_possible(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError

    monkeypatch.setattr(Path, "symlink_to", refuse)
    run = created(tmp_path)
    point_last(tmp_path, run.folder)
    assert (tmp_path / "last").is_file()
    assert Run.open(tmp_path / "last").folder == run.folder.resolve()


def test_a_folder_that_moved_is_still_a_run(tmp_path):
    run = created(tmp_path)
    (tmp_path / "moved").mkdir()
    moved = run.folder.rename(tmp_path / "moved/x")
    assert Run.open(moved).config() == CONFIG


def test_the_newest_of_a_name(tmp_path):
    created(tmp_path, "small")
    last = created(tmp_path, "small")
    created(tmp_path, "small_too")
    created(tmp_path, "small", task="translation")
    found = newest(tmp_path, "classification", "small")
    assert found is not None and found.folder == last.folder.resolve()
    assert newest(tmp_path, "classification", "smal") is None


@pytest.mark.parametrize("name", ["config.yaml", "run.json"])
def test_a_damaged_folder_of_the_name_is_left_out_with_a_line(tmp_path, capsys, name):
    good, bad = created(tmp_path), created(tmp_path)
    (bad.folder / name).unlink()
    found = newest(tmp_path, "classification", "small")
    assert found is not None and found.folder == good.folder.resolve()
    assert str(bad.folder) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a=1"], None),
        (["resume=null"], None),
        (["resume='auto'"], "auto"),
        (['+resume="a b=c"'], "a b=c"),
        (["resume=runs/x", "resume='runs/x'"], "runs/x"),
        ([r"resume='it\'s'"], "it's"),
    ],
)
def test_what_is_to_be_resumed(words, expected):
    assert wanted(words) == expected


def test_two_runs_cannot_be_resumed_at_once():
    with pytest.raises(UserError, match=r"runs/a.*runs/b"):
        wanted(["resume=runs/a", "resume=runs/b"])


def test_a_resumed_run_keeps_its_folder_and_both_command_lines(tmp_path):
    run = created(tmp_path, overrides=["a=1"])
    again = run.go_on({**CONFIG, "seed": 2}, ["b=2"])
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


def test_figures_that_are_no_numbers_come_back(tmp_path):
    run = created(tmp_path)
    run.save_metrics({"validation/loss": math.nan, "test/loss": math.inf}, "validation/loss")
    assert json.loads((run.folder / "metrics.json").read_text()) == {"validation/loss": None, "test/loss": None}
    assert math.isnan(run.objective())


def ended(run, error):
    """run.json after the exception."""
    with pytest.raises(type(error)), life.recorded(run):
        assert run.notes()["state"] == "running"
        raise error
    return run.notes()


class Signalled(SystemExit):
    signal = signal.SIGTERM


@pytest.mark.parametrize(
    ("error", "state", "why", "logged"),
    [
        (UserError("the disk is full\nfree some"), "failed", "the disk is full free some", "the disk is full\nfree some\n"),
        (RuntimeError("a\nbug"), "failed", "RuntimeError: a bug", "Traceback"),
        (AssertionError(), "failed", "AssertionError", "Traceback"),
        (SystemExit(7), "failed", "a process of the run ended with exit code 7", "7"),
        (KeyboardInterrupt(), "interrupted", None, ""),
        (Signalled(143), "interrupted", None, ""),
    ],
    ids=str,
)
def test_how_a_run_ends(tmp_path, error, state, why, logged):
    run = created(tmp_path)
    notes = ended(run, error)
    assert (notes["state"], notes["error"]) == (state, why)
    assert notes["begin"] <= notes["end"] and notes["host"]
    assert (run.log.read_text() if run.log.exists() else "").startswith(logged)
    assert {"failed": str(why), "interrupted": notes["end"]}[state] in life.standing(run)


@pytest.mark.parametrize(
    ("number", "named"), [(errno.ENOSPC, None), (errno.EDQUOT, None), (errno.EFBIG, None), (errno.EROFS, "metrics.csv")]
)
def test_a_disk_that_refuses_ends_a_run_with_a_message(tmp_path, number, named):
    run = created(tmp_path)
    with pytest.raises(UserError) as caught, life.recorded(run):
        raise OSError(number, os.strerror(number), named)
    assert str(run.folder) in str(caught.value) and (named or "") in str(caught.value)
    assert run.notes()["state"] == "failed" and run.log.read_text() == f"{caught.value}\n"


def test_another_error_of_the_system_is_a_bug(tmp_path):
    run = created(tmp_path)
    for error in (OSError(errno.EINVAL, "invalid"), BrokenPipeError(errno.EPIPE, "a worker is gone")):
        with pytest.raises(type(error)), life.recorded(run):
            raise error
    assert "Traceback" in run.log.read_text()


def test_a_resumed_run_forgets_how_it_ended_but_not_when_it_began(tmp_path, monkeypatch):
    run = created(tmp_path)
    assert life.standing(run) == ""
    begin = ended(run, RuntimeError("a bug"))["begin"]
    monkeypatch.setattr(life, "now", lambda: "later")
    with life.recorded(run):
        assert run.notes()["end"] is run.notes()["error"] is None
        assert "killed" in life.standing(run)  # there is no lock
        with lock.held(run.folder):
            assert str(os.getpid()) in life.standing(run)
    notes = run.notes()
    assert (notes["state"], notes["begin"], notes["end"]) == ("finished", begin, "later")


def test_what_a_rank_has_recorded_stays(tmp_path):
    run = created(tmp_path)
    with pytest.raises(SystemExit), life.recorded(run):
        with pytest.raises(RuntimeError), life.recorded(run):  # the rank
            raise RuntimeError("a bug")
        raise SystemExit(1)
    assert run.notes()["error"] == "RuntimeError: a bug"


def test_printed_text_is_saved(tmp_path, capsys):
    run = created(tmp_path)
    with log.logged(run.log):
        print("trained")
        print("warned", file=sys.stderr)
    print("later")
    assert (run.folder / "train.log").read_text() == "trained\nwarned\n"
    assert capsys.readouterr() == ("trained\nlater\n", "warned\n")


def test_a_log_that_cannot_be_written_costs_no_run(tmp_path, capsys):
    run = created(tmp_path)
    run.log.mkdir()
    with log.logged(run.log):
        print("trained")
    if os.path.exists("/dev/full"):
        with log.logged(Path("/dev/full")):
            print("on")
            print("and on")
    out, err = capsys.readouterr()
    assert out == "trained\non\nand on\n" if os.path.exists("/dev/full") else "trained\n"
    assert err.count(str(run.log)) == 1


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    with pytest.raises(UserError, match="File name too long"):
        Run.create(tmp_path, "toy", {"name": "a" * 300})
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot have the folder"):
        Run.create(tmp_path / "file", "toy", {"name": "a"})
