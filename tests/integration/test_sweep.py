"""Sweeps: what is printed, what is checked before, and how failed jobs are told."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from framework.cli.train import main
from framework.errors import UserError
from framework.training.interruption import Interrupted
from framework.workflows.start import Start
from tests.integration.conftest import CLASSIFICATION


@pytest.fixture
def launched(project, monkeypatch):
    """The seeds of jobs, which train nothing; those of `ends` end so."""

    def launch(start):
        launched.append(start.config["seed"])
        if error := launched.ends.get(start.config["seed"]):
            raise error
        return None, 1.0

    class Launched(list):
        ends: dict

    launched = Launched()
    launched.ends = {}
    monkeypatch.setattr("framework.cli.sweep.launch", launch)
    monkeypatch.setattr(Start, "fresh", lambda composed, sources: SimpleNamespace(config=composed.config))
    return launched


def test_cfg_job_prints_each_config_and_trains_nothing(launched, capsys):
    assert main(["-m", *CLASSIFICATION, "seed=1,2", "--cfg", "job"]) == 0
    shown = list(yaml.safe_load_all(capsys.readouterr().out))
    assert [each["seed"] for each in shown] == [1, 2] and all(each["model"]["dim"] == 16 for each in shown)
    assert main(["-m", *CLASSIFICATION, "seed=1,2", "--cfg", "job", "-p", "seed"]) == 0
    assert list(yaml.safe_load_all(capsys.readouterr().out)) == [1, 2]
    assert launched == [] and not Path("runs").exists()


def test_every_failed_job_is_named_at_the_end(launched, capsys):
    launched.ends |= {1: UserError("the disk\nis full"), 3: RuntimeError("a bug")}
    assert main(["-m", *CLASSIFICATION, "seed=1,2,3"]) == 1
    *_, first, second = capsys.readouterr().err.splitlines()
    assert launched == [1, 2, 3]
    assert first.endswith("seed=1: the disk is full") and second.endswith("seed=3: RuntimeError: a bug")


def test_a_signal_ends_the_sweep(launched, capsys):
    launched.ends |= {1: UserError("no"), 2: Interrupted(15)}
    assert main(["-m", *CLASSIFICATION, "seed=1,2,3"]) == 143
    assert launched == [1, 2] and "seed=1: no" in capsys.readouterr().err


def test_glob_is_a_sweep_over_options(launched, capsys):
    words = [word for word in CLASSIFICATION if not word.startswith("tokenizer")]
    assert main(["-m", *words, "model/norm=glob(r*)", "tokenizer=glob([by*,char*])", "--cfg", "job"]) == 0
    shown = list(yaml.safe_load_all(capsys.readouterr().out))
    assert {each["tokenizer"]["part"] for each in shown} == {"tokenizer/bytes", "tokenizer/characters"}
    assert {each["model"]["norm"]["part"] for each in shown} == {"norm/rms"}


@pytest.mark.parametrize("words", ["-m seed=1,2 hydra.sweep.dir=x", "hydra.run.dir=x", "hydra.job.chdir=true", "-m seed=1,2 resume=runs/a",
                                   "hydra/launcher=joblib", "+hydra.verbose=true"])  # fmt: skip
def test_keys_that_would_do_nothing_are_refused(launched, capsys, words):
    assert main([*CLASSIFICATION, *words.split()]) == 2
    message = capsys.readouterr().err
    assert words.split()[-1] in message and len(message.splitlines()) <= 6
    assert launched == [] and not Path("runs").exists()
