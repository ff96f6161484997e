"""Sweeps: what is printed, what is checked before, how failed jobs are told, and what the same command does when it is repeated."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import yaml

from framework.cli.train import main
from framework.data import cache
from framework.errors import UserError
from framework.runs.folder import Run
from framework.runs.sweep import Ledger
from framework.training.interruption import Interrupted
from framework.workflows import sweep
from framework.workflows.start import Start
from tests import forks, offline
from tests.integration.conftest import CLASSIFICATION, write_data

pytestmark = [pytest.mark.slow, pytest.mark.hydra]  # also with a newer one: make test-hydra


@pytest.fixture
def launched(project, monkeypatch):
    """The seeds of jobs, which train nothing but have their folders; those of `ends` end so."""

    def launch(make):
        start = make()
        launched.append(start.config["seed"])
        if error := launched.ends.get(start.config["seed"]):
            raise error
        with (start if start.run else start.in_folder(start._new_folder())).opened() as opened:
            opened.run.save_metrics({"validation/loss": 0.5}, "validation/loss")
        return None, 1.0

    class Launched(list):
        ends: dict

    launched = Launched()
    launched.ends = {}
    monkeypatch.setattr("framework.workflows.sweep.launch", launch)
    monkeypatch.setattr(Start, "fresh", lambda composed, sources: Start(composed.config, composed.overrides, composed.chosen))
    return launched


def test_cfg_job_prints_each_config_and_trains_nothing(launched, capsys):
    assert main(["-m", *CLASSIFICATION, "seed=1,2", "--cfg", "job"]) == 0
    shown = list(yaml.safe_load_all(capsys.readouterr().out))
    assert [each["seed"] for each in shown] == [1, 2] and all(each["model"]["dim"] == 16 for each in shown)
    assert main(["-m", *CLASSIFICATION, "seed=1,2", "--cfg", "job", "-p", "seed"]) == 0
    assert list(yaml.safe_load_all(capsys.readouterr().out)) == [1, 2]
    assert launched == [] and not Path("runs").exists()


def test_every_failed_job_is_named_at_the_end_and_tried_again(launched, capsys):
    launched.ends |= {1: UserError("the disk\nis full"), 3: RuntimeError("a bug")}
    assert main(["-m", *CLASSIFICATION, "seed=1,2,3"]) == 1
    *_, first, second = capsys.readouterr().err.splitlines()
    assert launched == [1, 2, 3]
    assert first.endswith("seed=1: the disk is full") and second.endswith("seed=3: RuntimeError: a bug")
    ledger = Ledger.read(folder_of_the_sweep())
    assert [(job.state, job.code) for job in ledger.jobs] == [("failed", 2), ("finished", 0), ("failed", 1)]
    launched.ends.pop(1)
    assert main(["-m", *CLASSIFICATION, "seed=1,2,3"]) == 1
    assert launched == [1, 2, 3, 1, 3] and "1 of 3 jobs failed" in capsys.readouterr().err
    launched.ends.clear()
    assert main(["-m", *CLASSIFICATION, "seed=1,2,3"]) == 0 and main(["-m", *CLASSIFICATION, "seed=1,2,3"]) == 0
    assert launched == [1, 2, 3, 1, 3, 3]


def test_folds_are_jobs_of_a_sweep(launched, capsys, monkeypatch):
    compared = []
    monkeypatch.setattr(
        "framework.comparing.command.compare", lambda paths: compared.append([Path(path).name for path in paths]) or "table"
    )
    assert main([*CLASSIFICATION, "data.folds=3", "data.test=null"]) == 0
    assert len(launched) == 3 and compared == [["01_fold=1", "02_fold=2", "03_fold=3"]] and "table" in capsys.readouterr().out
    assert main([*CLASSIFICATION, "data.folds=3", "data.fold=2", "data.test=null", "--cfg", "job"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["data"]["fold"] == 2 and len(launched) == 3
    assert main([*CLASSIFICATION, "data.folds=3", "sweep=training", "data.test=null"]) == 2
    assert "data.fold=1" in capsys.readouterr().err


def test_a_signal_ends_the_sweep(launched, capsys):
    launched.ends |= {1: UserError("no"), 2: Interrupted(15)}
    assert main(["-m", *CLASSIFICATION, "seed=1,2,3"]) == 143
    assert launched == [1, 2] and "seed=1: no" in capsys.readouterr().err
    launched.ends.clear()
    assert main(["-m", *CLASSIFICATION, "seed=1,2,3"]) == 0
    assert launched == [1, 2, 2, 3, 1]  # those that failed come last


def folder_of_the_sweep():
    (folder,) = {path.parent for path in Path("runs").glob("*/*/sweep.json")}
    return folder


def test_a_sweep_is_known_by_its_jobs_whatever_their_order_and_wherever_it_lies(launched):
    assert main(["-m", *CLASSIFICATION, "seed=1,2"]) == 0
    folder_of_the_sweep().rename("runs/classification/moved")
    assert main(["-m", "seed=2,1", *reversed(CLASSIFICATION)]) == 0
    shutil.move("runs", "elsewhere")
    assert main(["-m", *CLASSIFICATION, "seed=1,'2'", "runs=elsewhere"]) == 0
    assert launched == [1, 2] and Ledger.read(Path("elsewhere/classification/moved")).name == "classification_seed-1,2"
    assert main(["-m", *CLASSIFICATION, "seed=1,2,3", "runs=elsewhere"]) == 0  # another one
    assert launched == [1, 2, 1, 2, 3]


def test_a_sweep_with_a_name_grows(launched):
    assert main(["-m", *CLASSIFICATION, "name=mine", "seed=1,2"]) == 0
    assert main(["-m", *CLASSIFICATION, "name=mine", "seed=1,2,3"]) == 0
    assert main(["-m", *CLASSIFICATION, "name=mine", "seed=3", "optimizer.lr=0.1"]) == 0
    assert launched == [1, 2, 3, 3]
    names = [job.run for job in Ledger.read(Path("runs/classification/mine")).jobs]
    assert names == ["01_seed=1", "02_seed=2", "03_seed=3", "04_seed=3,lr=0.1"]
    assert all((Path("runs/classification/mine") / name / "run.json").exists() for name in names)


def test_glob_is_a_sweep_over_options(launched, capsys):
    words = [word for word in CLASSIFICATION if not word.startswith("tokenizer")]
    assert main(["-m", *words, "model/norm=glob(r*)", "tokenizer=glob([by*,char*])", "--cfg", "job"]) == 0
    shown = list(yaml.safe_load_all(capsys.readouterr().out))
    assert {each["tokenizer"]["part"] for each in shown} == {"tokenizer/bytes", "tokenizer/characters"}
    assert {each["model"]["norm"]["part"] for each in shown} == {"norm/rms"}


@pytest.mark.parametrize("words", ["-m seed=1,2 hydra.sweep.dir=x", "hydra.run.dir=x", "hydra.job.chdir=true", "-m seed=1,2 resume=runs/a",
                                   "hydra/launcher=joblib", "+hydra.verbose=true", "-m seed=1,2 hydra/sweeper=ax", "-m seed=1 name=a,b",
                                   "-m optimizer.lr=interval(0,1)", "-m seed=1,2 hydra/launcher=gone"])  # fmt: skip
def test_keys_that_would_do_nothing_are_refused(launched, capsys, words):
    assert main([*CLASSIFICATION, *words.split()]) == 2
    message = capsys.readouterr().err
    assert words.split()[-1].partition("=")[0] in message and len(message.splitlines()) <= 6
    assert launched == [] and not Path("runs").exists()


def test_one_id_for_several_runs_is_refused(launched, capsys, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "one")
    assert main(["-m", *CLASSIFICATION, "seed=1,2"]) == 2 and "WANDB_RUN_ID" in capsys.readouterr().err


# -- killed and repeated ---------------------------------------------------------------------------------------------------

SWEPT = [*CLASSIFICATION, "model/position=rotary,alibi,learned", "model.dropout=0.2"]
SWEPT = [word.replace("tokenizer=bytes", "tokenizer=bpe") for word in SWEPT] + ["tokenizer.vocab_size=300"]
SWEPT += ["callbacks.checkpoint.every_n_train_steps=1", "trainer.log_every_n_steps=1"]
NAMES = ["01_position=rotary", "02_position=alibi", "03_position=learned"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The folder of a sweep that nothing stopped."""
    folder = tmp_path_factory.mktemp("undisturbed")
    write_data(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["-m", *SWEPT]) == 0
        yield folder / "runs/classification/classification_position-rotary,alibi,learned"


def until(condition, process):
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline, process.said()
        time.sleep(0.01)


def assert_the_same(folder, other):
    assert [job.run for job in Ledger.read(folder).jobs] == NAMES
    for name in NAMES:
        one, two = Run(folder / name), Run(other / name)
        assert one.results() == two.results() and one.notes()["state"] == "finished"
        assert 0 < one.notes()["cpu_seconds"]
        assert one.predictions.read_bytes() == two.predictions.read_bytes()


def test_killed_in_the_middle_of_a_job_moved_and_repeated(project, undisturbed, capsys):
    process = forks.start(forks.TRAIN, ["-m", *SWEPT, "logger=both"])
    second = Path("runs/classification") / undisturbed.name / NAMES[1]
    until(lambda: (second / "checkpoints/last.ckpt").exists(), process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    ids = {name: (second.parent / name / "wandb_id.txt").read_text() for name in NAMES[:2]}
    assert not (second.parent / NAMES[2]).exists() and Run(second).notes()["state"] == "running"
    finished = (second.parent / NAMES[0] / "run.json").read_bytes()
    second.parent.rename("runs/classification/moved")

    assert main(["-m", *SWEPT, "logger=both"]) == 0
    folder = Path("runs/classification/moved")
    assert "1 of them done" in (said := capsys.readouterr().out) and "3 of 3 jobs done" in said and "about " in said
    assert_the_same(folder, undisturbed)
    assert (folder / NAMES[0] / "run.json").read_bytes() == finished
    kept = {name: (folder / name / "wandb_id.txt").read_text() for name in NAMES}
    assert kept | ids == kept and len(set(kept.values())) == 3
    assert len(list((folder / NAMES[1]).glob("wandb/offline-run-*"))) == 2  # of one id
    for name in NAMES:
        assert Run(folder / name).config()["name"] == name
        files = (folder / name).glob("wandb/offline-run-*/*.wandb")  # that of a killed process may be empty
        told = [run for file in files for run in offline.find(offline.records_of(file), "run")[:1]]
        assert {(run["run_group"], run["display_name"]) for run in told} == {(undisturbed.name, name)}
    assert len({(folder / name / "tokenizer.json").read_bytes() for name in NAMES}) == 1


@pytest.mark.parametrize(
    ("launcher", "plugin"),
    [
        ("joblib hydra.launcher.n_jobs=2", "hydra_plugins.hydra_joblib_launcher"),
        pytest.param("submitit_local hydra.launcher.cpus_per_task=1", "hydra_plugins.hydra_submitit_launcher", marks=pytest.mark.whole),
    ],
)
def test_two_jobs_at_once_have_the_figures_of_one_after_the_other(project, undisturbed, launcher, plugin, capfd):
    pytest.importorskip(plugin)
    launched = [*SWEPT, *f"hydra/launcher={launcher}".split()]
    assert main(["-m", *launched]) == 0
    folder = Path("runs/classification") / undisturbed.name
    assert_the_same(folder, undisturbed)
    shutil.rmtree(folder / NAMES[1])  # the same command, with another launcher
    assert main(["-m", *SWEPT]) == 0 and "3 jobs, 2 of them done" in capfd.readouterr().out
    (folder / NAMES[2] / "checkpoints/last.ckpt").write_bytes(b"damaged")
    (folder / NAMES[2] / "run.json").write_text((folder / NAMES[2] / "run.json").read_text().replace('"finished"', '"running"'))
    assert main(["-m", *launched]) == 2
    said = capfd.readouterr().err
    assert f"{NAMES[2]}: " in said and "last.ckpt" in said


def test_a_sweep_reads_and_encodes_once(project, monkeypatch):
    read = []
    whole = cache.whole
    monkeypatch.setattr(cache, "whole", lambda folder: read.append(folder) or whole(folder))
    assert main(["-m", *CLASSIFICATION, "trainer.max_steps=1", "seed=0,1", "trainer.max_epochs=-1"]) == 0
    assert len(read) == len(set(read))


def test_an_illegal_job_leaves_nothing(project, capsys):
    assert main(["-m", *SWEPT, "model.num_heads=2,3"]) == 2
    assert "num_heads" in capsys.readouterr().err and not Path("runs").exists()


def test_a_sweep_that_is_being_trained_is_refused(launched, capsys, monkeypatch):
    def again(make):
        assert main(["-m", *CLASSIFICATION, "seed=1,2"]) == 2
        return None, 1.0

    monkeypatch.setattr(sweep, "launch", again)
    assert main(["-m", *CLASSIFICATION, "seed=1,2"]) == 0 and "is being trained by" in capsys.readouterr().err


def test_translation_changes_all_stacks(launched, capsys):
    assert main(["-m", "task=translation", "model/position=rotary,alibi", "--cfg", "job"]) == 0
    for shown, name in zip(yaml.safe_load_all(capsys.readouterr().out), ("rotary", "alibi"), strict=True):
        assert {shown["model"][stack]["position"]["part"] for stack in ("encoder", "decoder")} == {f"position/{name}"}


def test_a_ledger_is_read_with_care(launched, capsys):
    assert main(["-m", *CLASSIFICATION, "seed=1,2"]) == 0
    path = folder_of_the_sweep() / "sweep.json"
    table = json.loads(path.read_text())
    for run in ("../../other", ".hidden", "/etc"):
        path.write_text(json.dumps({**table, "jobs": [{**table["jobs"][0], "run": run}]}))
        with pytest.raises(UserError, match="no name of a run's folder"):
            Ledger.read(path.parent)
