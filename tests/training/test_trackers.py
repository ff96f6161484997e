"""Trackers: metrics.csv over resumes, and what W&B wrote, read back from its offline file with its own tool."""

import contextlib
import csv
import json
import os

import pytest
import torch

from framework.errors import UserError
from framework.registry import Part, registered
from framework.testing.trackers import FILES, events
from framework.tracking.base import Tracker, build_trackers, check_trackers, finished
from framework.tracking.csv_file import CsvTracker
from framework.tracking.weights_and_biases import WandbTracker
from tests import offline
from tests.offline import find
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
    tracker = WandbTracker(tmp_path, "a run", CONFIG, CHOSEN, True, mode="offline")
    tracker.log_metrics({"train/loss": 1.0}, step=10)
    tracker.finish(0)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """A run of ten steps with all of W&B's options, in a folder of its own."""
    folder = tmp_path_factory.mktemp("run")
    options = {"project": "p", "group": "g", "tags": ["t", "u"], "notes": "n", "job_type": "j", "mode": "offline"}
    nodes = {"wandb": {"part": "tracker/wandb", **options}}
    trackers = build_trackers(nodes, folder, name="a run", named=True, config=CONFIG, chosen=CHOSEN)
    with pytest.raises(SystemExit), finished(trackers):
        trainer(folder, logger=trackers, log_every_n_steps=5).fit(learner(), Loader(rows(40), 4), Loader(rows(4), 4))
        raise SystemExit(3)
    assert "WANDB_DATA_DIR" not in os.environ and "WANDB_CACHE_DIR" not in os.environ  # the next job of a sweep sets its own
    return folder, offline.records(folder)


def test_wandb_knows_the_run(tracked):
    folder, records = tracked
    (run,) = find(records, "run")[:1]
    values = [run[key] for key in ("project", "display_name", "run_group", "tags", "notes", "job_type")]
    assert values == ["p", "a run", "g", ["t", "u"], "n", "j"]
    assert run["run_id"] == (folder / "wandb_id.txt").read_text().strip()
    config = run["config"]["update"]
    assert config["task"] == CONFIG["task"]
    assert config["seed"] == 3
    assert config["choice"] == CHOSEN


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


class Initialized(Exception):
    """Raised with the arguments of wandb.init."""


@pytest.fixture
def initialized(tmp_path, monkeypatch):
    """The arguments of wandb.init for a tracker with options, and the environment that it sees."""
    import wandb

    def init(**arguments):
        raise Initialized(arguments, dict(os.environ))

    def call(*words, **options):
        tracker = WandbTracker(tmp_path, "a run", CONFIG, CHOSEN, *words, **options)
        with pytest.raises(Initialized) as caught:
            tracker.log_metrics({"train/loss": 1.0}, step=1)
        tracker.finish(1)
        return caught.value.args

    monkeypatch.setattr(wandb, "init", init)
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    return call


VARIABLES = {"WANDB_PROJECT": ("project", "plugformer"), "WANDB_NAME": ("name", "a run"), "WANDB_JOB_TYPE": ("job_type", "train")}


@pytest.mark.parametrize(("variable", "option", "default"), [(key, *value) for key, value in VARIABLES.items()])
def test_variables_of_wandb_are_obeyed_where_nothing_was_typed(initialized, monkeypatch, variable, option, default):
    assert initialized(False)[0][option] == default
    monkeypatch.setenv(variable, "told")
    assert initialized(False)[0][option] == "told"
    typed = initialized(True)[0] if option == "name" else initialized(False, **{option: "typed"})[0]
    assert typed[option] == ("a run" if option == "name" else "typed")


def test_variables_that_wandb_reads_itself_are_left_to_it(initialized, monkeypatch, tmp_path):
    arguments, _ = initialized(False)
    assert [arguments[key] for key in ("entity", "group", "tags", "notes", "mode")] == [None] * 5
    assert arguments["dir"] == tmp_path.resolve()
    for name in ("WANDB_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    arguments, seen = initialized(False)
    assert arguments["dir"] == tmp_path / "WANDB_DIR" and seen["WANDB_DATA_DIR"] == str(tmp_path / "WANDB_DATA_DIR")
    assert seen["WANDB_CACHE_DIR"] == str(tmp_path / "WANDB_DIR/wandb/cache") and "WANDB_CACHE_DIR" not in os.environ


def test_the_ids_of_a_sweep_agent_are_kept(initialized, monkeypatch):
    own, _ = initialized(False)
    with monkeypatch.context() as patch:
        patch.setenv("WANDB_RUN_ID", "agents1d")
        patch.setenv("WANDB_SWEEP_ID", "sweep7")
        assert initialized(False)[0]["id"] == "agents1d" != own["id"]
    arguments, seen = initialized(False)  # resumed by hand
    assert arguments["id"] == "agents1d" and seen["WANDB_SWEEP_ID"] == "sweep7"
    assert "WANDB_SWEEP_ID" not in os.environ


@pytest.mark.parametrize(("options", "variable", "asked"), [({}, None, True), ({"mode": "offline"}, None, False), ({}, "offline", False)])
def test_no_login_is_noticed_where_one_is_needed(tmp_path, monkeypatch, options, variable, asked):
    import wandb
    from wandb.errors import UsageError

    def login(**arguments):
        raise UsageError("No API key configured.")

    monkeypatch.setattr(wandb, "login", login)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    if variable:
        monkeypatch.setenv("WANDB_MODE", variable)
    nodes = {"wandb": {"part": "tracker/wandb", **options}, "csv": {"part": "tracker/csv"}}
    context = {"name": "a run", "named": True, "config": CONFIG, "chosen": CHOSEN}
    if asked:
        with pytest.raises(UserError, match=r"No API key[^$]*wandb login"):
            check_trackers(nodes, **context)
    else:
        check_trackers(nodes, **context)


def test_a_resumed_run_has_the_same_id(tmp_path):
    one, two = (WandbTracker(tmp_path, "a run", CONFIG, CHOSEN, True) for _ in range(2))
    assert one._id() == two._id() is not None


def test_kinds_and_names():
    assert set(registered()["tracker"]) >= {"csv", "wandb"}
    assert Part("tracker/csv").cls is CsvTracker


# -- all that a tracker is told: tables, pictures, files, checkpoint, alerts -------------------------------------------------


def told(part, folder):
    """A tracker of a part, after it has been told everything, in the folder of a job of the sweep `s`."""
    context = {"name": "größer, better", "named": True, "config": CONFIG, "chosen": {"task": "ner", **CHOSEN}, "sweep": "s"}
    tracker = part(folder=folder, **context)
    (begin, facts), *later = events(tracker, folder).values()
    begin(*facts)
    tracker.log_metrics({"validation/loss": 2.0, "train/loss": torch.tensor(0.5)}, step=10)
    tracker.log_metrics({"validation/loss": 3.0}, step=20)
    for call, given in later:
        call(*given)
    tracker.finish(2)
    return tracker


def test_wandb_has_all_that_it_was_told(tmp_path):
    told(Part("tracker/wandb", mode="offline", alerts="all", checkpoint=True), tmp_path)
    records = offline.records(tmp_path)
    (run, *_), summary, config = find(records, "run"), offline.summary_of(records), offline.config_of(records)
    assert (run["run_group"], run["job_type"], run["tags"]) == ("s", "train", ["ner"])
    assert config["facts"]["data"]["train"]["rows"] == 3 and config["choice"]["task"] == "ner"
    assert summary["validation/loss"] == {"min": 2, "max": 3, "last": 3} and summary["train/loss"] == 0.5
    rows = offline.table(records, "predictions")
    assert (
        [row["input"] for row in rows][-2:] == ["a | b\n<c>", "d"]
        and rows[0]["score"] == 0.5
        and rows[0]["in text"]["_type"] == "html-file"
    )
    assert offline.table(records, "predictions_2") == [{"other": 1.5}]
    assert "wandb/confusion_matrix/v1" in str(find(records, "config"))
    confusion = offline.table(records, "Custom Chart Tables/confusion_table")
    assert {(row["Actual"], row["Predicted"]): row["nPredictions"] for row in confusion}["even", "odd"] == 1
    uploaded = {file["path"] for each in find(records, "files") for file in each["files"]}
    assert uploaded >= {"confusion.csv", "report.csv", "report.html", "code.diff"} and any("curves" in path for path in uploaded)
    (model,) = [artifact for artifact in find(records, "artifact") if artifact["type"] == "model"]
    assert model["name"] == "gr_er_better" and set(model["aliases"]) == {"best", "latest", run["run_id"]}
    assert {entry["path"] for entry in model["manifest"]["contents"]} == {"checkpoints/best.ckpt", "config.yaml"}
    alerts = [(alert["title"].rpartition(" ")[2], alert["level"]) for alert in find(records, "alert")]
    assert alerts == [("finished", "INFO"), ("failed", "ERROR"), ("diverged", "ERROR")]
    assert offline.exit_codes(records) == [2]


def test_options_leave_out_what_they_name(tmp_path):
    told(Part("tracker/wandb", mode="offline", alerts="none", files=False), tmp_path)
    records = offline.records(tmp_path)
    assert find(records, "alert") == [] and [each for each in find(records, "artifact") if each["type"] == "model"] == []
    assert not {"report.csv", "code.diff"} & {file["path"] for each in find(records, "files") for file in each["files"]}


def test_tensorboard_has_all_that_it_was_told(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    told(Part("tracker/tensorboard"), tmp_path)
    read = EventAccumulator(str(tmp_path / "tensorboard"))
    read.Reload()
    assert [(event.step, event.value) for event in read.Scalars("validation/loss")] == [(10, 2.0), (20, 3.0)]
    assert read.Scalars("exit_code")[0].value == 2
    (picture,) = read.Images("curves")
    assert picture.encoded_image_string == FILES["curves.png"] and (picture.width, picture.height) == (1, 1)
    texts = {tag: read.Tensors(tag) for tag in read.Tags()["tensors"]}
    first = texts["predictions/text_summary"][0].tensor_proto.string_val[0].decode()
    assert "| row | input | score | prediction |" in first and "a \\| b<br>&lt;c>" in first and "in text" not in first
    assert {"confusion/text_summary", "report/text_summary", "facts/text_summary", "config/text_summary", "end/text_summary"} <= set(texts)


def test_tensorboard_hides_what_a_resumed_run_logs_again(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for begin, value in ((None, 1.0), (20, 7.0)):
        tracker = Part("tracker/tensorboard")(folder=tmp_path, config=CONFIG, chosen=CHOSEN)
        if begin is not None:
            tracker.go_on_from(begin)
        for step in (10, 20, 30) if begin is None else (30, 40):
            tracker.log_metrics({"train/loss": value * step}, step=step)
        tracker.finish(0)
    read = EventAccumulator(str(tmp_path / "tensorboard"))
    read.Reload()
    assert [(event.step, event.value) for event in read.Scalars("train/loss")] == [(10, 10.0), (20, 20.0), (30, 210.0), (40, 280.0)]


def test_trackio_has_all_that_it_was_told(tmp_path):
    import sqlite3

    from trackio.utils import TRACKIO_DIR

    told(Part("tracker/trackio", project="of-tests", alerts="all"), tmp_path)
    with contextlib.closing(sqlite3.connect(TRACKIO_DIR / "of-tests.db")) as database:
        logged = [(step, json.loads(text)) for step, text in database.execute("select step, metrics from metrics order by id")]
        (config,) = [json.loads(text) for (text,) in database.execute("select config from configs")]
        titles = [title for (title,) in database.execute("select title from alerts order by id")]
    assert [(step, each["validation/loss"]) for step, each in logged if "validation/loss" in each] == [(10, 2.0), (20, 3.0)]
    tables = [each["predictions"]["_value"] for _, each in logged if "predictions" in each]
    assert tables[0][0] == {"row": 0, "input": "a | b\n<c>", "score": 0.5, "prediction": None} and tables[2] == [{"other": 1.5}]
    assert (
        any("curves" in each for _, each in logged) and any("confusion" in each for _, each in logged) and logged[-1][1]["exit_code"] == 2
    )
    assert config["_Group"] == "s" and config["facts"]["data"]["train"]["rows"] == 3 and config["choice"] == {"task": "ner", **CHOSEN}
    assert [title.rpartition(" ")[2] for title in titles] == ["finished", "failed", "diverged"]


def test_an_id_in_use_is_told(tmp_path, monkeypatch):
    import wandb
    from wandb.sdk.mailbox.mailbox_handle import ServerResponseError

    def init(**arguments):
        raise ServerResponseError("run id is in use")

    monkeypatch.setattr(wandb, "init", init)
    tracker = WandbTracker(tmp_path, "a run", CONFIG, CHOSEN, True, mode="offline")
    with pytest.raises(UserError, match=r"run id is in use\n.*wandb_id.txt"):
        tracker.log_metrics({"train/loss": 1.0}, step=1)
    assert "WANDB_DATA_DIR" not in os.environ


@pytest.mark.parametrize("logger", ["tensorboard", "trackio"])
def test_what_to_install_is_told(monkeypatch, logger):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == logger else found(name, *more))
    context = {"name": "a run", "named": True, "config": CONFIG, "chosen": CHOSEN}
    with pytest.raises(UserError, match=rf"pip install 'plugformer\[{logger}\]'"):
        check_trackers({logger: {"part": f"tracker/{logger}"}}, **context)
