"""Trackers: metrics.csv over resumes, and what W&B wrote, read back from its offline file with its own tool."""

import csv
import json
import os
import subprocess
import sys

import pytest
import torch

from framework.errors import UserError
from framework.registry import Part, registered
from framework.tracking.base import Tracker, build_trackers, finished
from framework.tracking.csv_file import CsvTracker
from framework.tracking.weights_and_biases import WandbTracker
from tests.training.toys import Loader, learner, rows, trainer

CONFIG = {"task": {"part": "task/toy", "smoothing": 0.1}, "seed": 3, "name": "a run"}
CHOSEN = {"model/attention": "multi_head"}


def table(folder):
    with open(folder / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_columns_are_added_when_they_come(tmp_path):
    tracker = CsvTracker(tmp_path)
    tracker.log_metrics({"train/loss": 0.5}, step=1)
    tracker.log_metrics({"validation/loss": torch.tensor(0.25)}, step=1)
    tracker.log_metrics({"train/loss": 1 / 3}, step=2)
    assert table(tmp_path) == [
        {"step": "1", "train/loss": "0.5", "validation/loss": ""},
        {"step": "1", "train/loss": "", "validation/loss": "0.25"},
        {"step": "2", "train/loss": "0.333333333", "validation/loss": ""},
    ]


def test_a_resumed_run_appends_to_the_same_file(tmp_path):
    first = CsvTracker(tmp_path)
    for step in (10, 20, 30):
        first.log_metrics({"train/loss": step}, step=step)
    second = CsvTracker(tmp_path)
    second.go_on_from(20)
    second.log_metrics({"train/loss": 31}, step=30)
    assert [(row["step"], row["train/loss"]) for row in table(tmp_path)] == [("10", "10"), ("20", "20"), ("30", "31")]


def test_a_line_torn_by_a_kill_is_left_out(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,epoch,train/loss\n10,0,1.5\n20,0")
    tracker = CsvTracker(tmp_path)
    tracker.go_on_from(15)
    tracker.log_metrics({"epoch": 0, "train/loss": 1.0}, step=20)
    assert [row["step"] for row in table(tmp_path)] == ["10", "20"]


def test_an_evaluation_adds_to_the_file(tmp_path):
    CsvTracker(tmp_path).log_metrics({"train/loss": 1.0}, step=10)
    CsvTracker(tmp_path).log_metrics({"test/loss": 2.0}, step=0)
    assert [row["step"] for row in table(tmp_path)] == ["10", "0"]


def test_other_ranks_write_nothing(tmp_path, monkeypatch):
    from pytorch_lightning.utilities.rank_zero import rank_zero_only

    monkeypatch.setattr(rank_zero_only, "rank", 1)
    CsvTracker(tmp_path).log_metrics({"train/loss": 1.0}, step=10)
    tracker = WandbTracker(tmp_path, "a run", CONFIG, CHOSEN, mode="offline")
    tracker.log_metrics({"train/loss": 1.0}, step=10)
    tracker.finish(0)
    assert list(tmp_path.iterdir()) == []


def offline(folder):
    """All records of W&B in a folder, by kind, in the order of writing."""
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    inspect = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(file)]
    done = subprocess.run(inspect, capture_output=True, text=True, timeout=120, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """A run of ten steps with all of W&B's options, in a folder of its own."""
    folder = tmp_path_factory.mktemp("run")
    options = {"project": "p", "group": "g", "tags": ["t", "u"], "notes": "n", "job_type": "j", "mode": "offline"}
    nodes = {"wandb": {"part": "tracker/wandb", **options}}
    trackers = build_trackers(nodes, folder, name="a run", config=CONFIG, chosen=CHOSEN)
    with pytest.raises(SystemExit), finished(trackers):
        trainer(folder, logger=trackers, log_every_n_steps=5).fit(learner(), Loader(rows(40), 4), Loader(rows(4), 4))
        raise SystemExit(3)
    assert "WANDB_DATA_DIR" not in os.environ and "WANDB_CACHE_DIR" not in os.environ  # the next job of a sweep sets its own
    return folder, offline(folder)


def find(records, kind):
    return [record[kind] for record in records if kind in record]


def test_wandb_knows_the_run(tracked):
    folder, records = tracked
    (run,) = find(records, "run")[:1]
    values = [run[key] for key in ("project", "display_name", "run_group", "tags", "notes", "job_type")]
    assert values == ["p", "a run", "g", ["t", "u"], "n", "j"]
    assert run["run_id"] == (folder / "wandb_id.txt").read_text().strip()
    config = run["config"]["update"]
    assert config["task"] == CONFIG["task"]
    assert config["seed"] == 3
    assert config["chosen"] == CHOSEN


def test_wandb_has_the_metrics_and_the_end(tracked):
    _, records = tracked
    history = [entry["item"] for entry in find(records, "history")]
    trained = [entry for entry in history if "train/loss" in entry]
    assert [entry["trainer/global_step"] for entry in trained] == [5, 10]
    assert all(entry["train/loss"] > 0 and entry["train/lr"] > 0 and "train/padding" in entry for entry in trained)
    (validated,) = [entry for entry in history if "validation/loss" in entry]
    assert validated["trainer/global_step"] == 10
    assert [record["exit_code"] for record in find(records, "exit")] == [3]


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (RuntimeError("a bug"), 1, "Traceback"),
        (UserError("lr is 3"), 2, "lr is 3"),
        (KeyboardInterrupt(), 130, ""),
        (SystemExit(143), 143, "143"),
    ],
    ids=str,
)
def test_why_a_run_ended_early_is_told(error, code, said):
    class Told(Tracker):
        name, log_metrics = "told", None

        def log_text(self, text):
            told.append(text)

        def finish(self, exit_code):
            told.append(exit_code)

    told = []
    with pytest.raises(type(error)), finished([Told()]):
        raise error
    assert told[0].startswith(said) and told[1:] == [code]


def test_everything_wandb_keeps_is_in_the_run_folder(tracked):
    folder, _ = tracked
    assert {path.name for path in folder.iterdir()} == {"wandb", "wandb_id.txt"}


def test_a_sweep_agents_id_is_respected(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "agents1d")
    tracker = WandbTracker(tmp_path, "a run", CONFIG, CHOSEN, mode="offline")
    tracker.log_metrics({"train/loss": 1.0}, step=1)
    tracker.finish(0)
    assert list(tmp_path.glob("wandb/offline-run-*-agents1d"))
    assert not (tmp_path / "wandb_id.txt").exists()


def test_a_resumed_run_has_the_same_id(tmp_path):
    one, two = (WandbTracker(tmp_path, "a run", CONFIG, CHOSEN) for _ in range(2))
    assert one._id() == two._id() is not None


def test_kinds_and_names():
    assert set(registered()["tracker"]) >= {"csv", "wandb"}
    assert Part("tracker/csv").cls is CsvTracker
