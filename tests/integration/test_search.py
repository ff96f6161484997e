"""Searches: trials that go on in one study, what is pruned, what cannot begin, and the file for the agents of W&B."""

import json
import math
from pathlib import Path

import pytest
import yaml

from framework.__main__ import main as framework_main
from framework.cli.train import main
from framework.errors import UserError
from framework.runs.folder import Run
from framework.runs.sweep import Ledger
from framework.training.interruption import Interrupted
from framework.training.pruning import PRUNED, Pruning, open_study
from framework.workflows.start import Start, compose_run
from tests.integration.conftest import CLASSIFICATION

pytestmark = [pytest.mark.slow, pytest.mark.hydra]  # also with a newer one: make test-hydra

optuna = pytest.importorskip("optuna")

SEARCH = [*CLASSIFICATION, "sweep=optuna", "sweep.trials=5", "optimizer.lr=tag(log,interval(1e-4,1))", "model.num_heads=1,2"]


@pytest.fixture
def launched(project, monkeypatch):
    """The learning rates of trials, which train nothing; the accuracy is lr. `ends`: number of the call -> what it ends by."""

    def launch(make):
        start = make()
        launched.append(start.config["optimizer"]["lr"])
        place = start if start.run else start.in_folder(start._new_folder())
        with place.opened() as opened:
            if error := launched.ends.get(len(launched)):
                raise error
            opened.run.save_metrics({"validation/accuracy": opened.config["optimizer"]["lr"]}, "validation/accuracy")
            if len(launched) in launched.pruned:
                study = study_in(opened.run.folder.parent)
                optuna.trial.Trial(study, study.trials[opened.config["callbacks"]["pruning"]["trial"]]._trial_id).set_user_attr(PRUNED, 50)

    class Launched(list):
        ends: dict
        pruned: tuple = ()

    launched = Launched()
    launched.ends = {}
    monkeypatch.setattr("framework.workflows.sweep.launch", launch)
    monkeypatch.setattr(Start, "fresh", lambda composed, sources: Start(composed.config, composed.overrides, composed.chosen))
    return launched


def the_folder():
    (folder,) = {path.parent for path in Path("runs").glob("*/*/sweep.json")}
    return folder


def study_in(folder):
    return open_study(folder / "study.jsonl", direction="maximize")


def test_a_search_that_is_stopped_goes_on_in_one_study(launched, capsys, tmp_path):
    launched.ends[3] = Interrupted(15)
    assert main(["-m", *SEARCH]) == 143
    assert [trial.state.name for trial in study_in(the_folder()).trials] == ["COMPLETE"] * 2 + ["RUNNING"]
    the_folder().rename("runs/classification/moved")
    launched.pruned = (5,)
    assert main(["-m", *SEARCH]) == 0
    trials = study_in(the_folder()).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 3 + ["PRUNED", "COMPLETE"]
    assert len(launched) == 6 and launched[2] == launched[3]  # the third went on
    jobs = Ledger.read(the_folder()).jobs
    assert [job.state for job in jobs] == ["finished"] * 3 + ["pruned", "finished"]
    for trial, job in zip(trials, jobs, strict=True):
        config = Run(the_folder() / job.run).config()
        assert (
            config["optimizer"]["lr"] == trial.params["optimizer.lr"]
            and str(config["model"]["num_heads"]) == trial.params["model.num_heads"]
        )
        assert config["callbacks"]["pruning"]["trial"] == trial.number and job.run.startswith(f"0{trial.number + 1}_lr=")
        assert trial.state.name == "PRUNED" or trial.value == config["optimizer"]["lr"] == job.value
    best = max((job for job in jobs if job.state == "finished"), key=lambda job: job.value)
    assert f"best     {best.run}" in capsys.readouterr().out
    assert main(["-m", *SEARCH]) == 0 and len(launched) == 6
    assert main(["-m", *[word.replace("trials=5", "trials=6") for word in SEARCH]]) == 0 and len(launched) == 7  # it grows

    undisturbed, launched[:] = launched[:3] + launched[4:], []
    launched.ends, launched.pruned = {}, (4,)
    (tmp_path / "again").mkdir()
    assert main(["-m", *SEARCH, "runs=again"]) == 0 and launched == undisturbed[:5]


def test_a_trial_that_fails_is_tried_again_and_one_that_cannot_begin_is_replaced(launched, capsys):
    launched.ends[2] = UserError("no memory")
    words = [*(word.replace("num_heads=1,2", "num_heads=1,3") for word in SEARCH), "sweep.trials=6"]  # 16 is no multiple of 3
    assert main(["-m", *words, "sweep.pruner=none"]) == 2
    said = capsys.readouterr()
    assert "num_heads=3" in said.out and "no memory" in said.err
    states = [trial.state.name for trial in study_in(the_folder()).trials]
    failed = states.count("FAIL")
    assert len(states) == 6 and failed and states.count("RUNNING") == 1
    assert main(["-m", *words, "sweep.pruner=none"]) in (0, 2)
    states = [trial.state.name for trial in study_in(the_folder()).trials]
    assert len(states) == 6 + failed and "RUNNING" not in states
    assert "pruning" not in Run(next(the_folder().glob("01_*"))).config()["callbacks"]


def test_without_trials_nothing_is_written(launched, capsys):
    for word in ("sweep=gone", "sweep.trial=3", "optimizer.lrr=0.1,0.2", "sweep.pruner=gone"):
        assert main(["-m", *SEARCH, word]) == 2 and word.partition("=")[0] in capsys.readouterr().err
    assert main([*CLASSIFICATION, "sweep=optuna"]) == 2 and "python train.py -m" in capsys.readouterr().err
    assert launched == [] and not Path("runs").exists()


class Trainer:
    """A trainer with the attributes that the callback reads."""

    sanity_checking, is_global_zero, should_stop, estimated_stepping_batches = False, True, False, 100

    def __init__(self, step, score):
        self.global_step, self.callback_metrics = step, {"validation/loss": score}
        self.state, self.strategy = self, self
        self.fn = "fit"

    def broadcast(self, value):
        return value


def test_worse_than_the_median_at_the_same_share_is_pruned(tmp_path):
    study = open_study(tmp_path / "study.jsonl", direction="minimize")

    def trial(scores):
        number = study.ask().number
        callback = Pruning(tmp_path / f"{number}", "validation/loss", "min", trial=number)
        stopped = []
        for share, score in scores.items():
            callback.on_validation_end(trainer := Trainer(share, score), None)
            stopped.append(trainer.should_stop)
        callback.on_train_start(again := Trainer(0, 0.0), None)
        assert again.should_stop == stopped[-1]
        if not stopped[-1]:
            study.tell(number, min(score for score in scores.values() if math.isfinite(score)))
        return stopped

    for score in (1.0, 2.0, 3.0, 4.0, 5.0):
        assert trial({25: score + 1, 50: score}) == [False, False]
    assert trial({25: 4.1, 50: 3.1}) == [True, True]  # medians: 4 and 3
    assert trial({25: 3.9, 50: 3.1}) == [False, True]
    assert trial({25: math.nan, 50: 1.0}) == [False, False]


def test_the_file_for_the_agents_of_wandb(project, capsys):
    space = ["optimizer.lr=tag(log,interval(1e-4,1e-2))", "model/position=rotary,alibi", "model.num_layers=int(interval(1,3))"]
    assert framework_main(["sweep", "optuna", "to=wandb", *CLASSIFICATION, *space]) == 0
    content = yaml.safe_load(capsys.readouterr().out)
    assert content["metric"] == {"name": "final/validation/accuracy", "goal": "maximize"} and content["method"] == "bayes"
    assert set(content["parameters"]) == {"optimizer.lr", "model/position", "model.num_layers"}
    from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

    drawn = {"optimizer.lr": {"value": 3e-4}, "model/position": {"value": "alibi"}, "model.num_layers": {"value": 2}}
    arguments = create_sweep_command_args({"args": drawn})
    fixed = content["command"][5:-1]
    assert content["command"][:5] == ["${env}", "${interpreter}", "-m", "framework", "train"] and fixed[-1] == "logger=wandb"
    config = compose_run([*fixed, *arguments["args_no_hyphens"]]).config
    assert config["optimizer"]["lr"] == 3e-4 and config["model"]["position"]["part"] == "position/alibi"
    assert main([*fixed, *arguments["args"], "--cfg", "job"]) == 0  # as other agents call it: --key=value
    assert yaml.safe_load(capsys.readouterr().out)["model"]["num_layers"] == 2 and config["model"]["num_layers"] == 2
    for words in ([], ["gone", "to=wandb"], ["optuna"], ["optuna", "to=wandb"]):
        assert framework_main(["sweep", *words]) == 2


def test_the_study_is_plain_lines(launched):
    assert main(["-m", *SEARCH, "sweep.trials=1"]) == 0
    assert all(isinstance(json.loads(line), dict) for line in (the_folder() / "study.jsonl").read_text().splitlines())
