"""Training in several processes: the metrics of one process, one folder, one W&B run, and resuming after kill -9."""

import contextlib
import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from framework.cli.train import main
from tests.integration.conftest import TRANSLATION, train, write_data
from tests.integration.test_run_folder import figures, history, predictions, runs

pytestmark = pytest.mark.slow
TRAIN_PY = str(Path(__file__).parents[2] / "train.py")

# Pairs of unequal length, 150 = 64 + 64 + 22: the last step of an epoch is a small one.
UNEVEN = [*TRANSLATION, "data.test=[dev.en,dev.de]", "data/batches=rows", "model.dropout=0", "optimizer=sgd", "optimizer.lr=0.2"]
UNEVEN += ["schedule=constant", "trainer.max_epochs=-1", "trainer.max_steps=20", "trainer.log_every_n_steps=1", "trainer.accelerator=cpu"]
WHOLE, HALVES = "data.batches.rows=64", "data.batches.rows=32"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    write_data(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def alone(place):
    """One process, 64 rows a step."""
    return train(*UNEVEN, WHOLE, "name=alone")


def weights(run):
    return torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


def losses(run):
    with open(run / "metrics.csv", newline="") as file:
        return {int(row["step"]): float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]}


def assert_alike(run, alone):
    assert list(losses(run)) == list(losses(alone)) == list(range(1, 21))
    assert losses(run) == pytest.approx(losses(alone), abs=1e-4)
    found, expected = weights(run), weights(alone)
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-4, rtol=0, msg=lambda text, name=name: f"{name}: {text}")
    texts = [(row["row"], row["input"], row["prediction"]) for row in predictions(run)]
    assert texts == [(row["row"], row["input"], row["prediction"]) for row in predictions(alone)]
    assert figures(run) == pytest.approx(figures(alone), abs=1e-4)
    written = {name: value for name, value in figures(alone).items() if name.endswith(("bleu", "chrf"))}
    assert written == {name: figures(run)[name] for name in written}  # of the same texts: to the last digit


def test_two_accumulated_batches_are_one(alone):
    assert_alike(train(*UNEVEN, HALVES, "trainer.accumulate_grad_batches=2", "name=accumulated"), alone)


def torchrun(*words):
    """`torchrun --nproc_per_node 2 train.py WORDS`, at a free port."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", TRAIN_PY, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_torchrun_makes_one_run(alone, place):
    before = set(runs())
    words = [*UNEVEN, HALVES, "trainer=ddp", "logger=both", "logger.wandb.mode=offline"]
    done = torchrun(*words)
    assert done.returncode == 0, done.stderr
    (run,) = set(runs()) - before
    assert_alike(run, alone)
    assert len(list(run.glob("wandb/offline-run-*/*.wandb"))) == 1
    assert not Path("wandb").exists()
    assert done.stdout.count("python -m framework predict") == 1


# With dropout, many steps an epoch, and a checkpoint after each of them.
LONG = [*TRANSLATION, "data/batches=rows", "data.batches.rows=2", "model.dropout=0.2", "trainer.max_epochs=2", "data.limit=60"]
LONG += ["callbacks.checkpoint.every_n_train_steps=1", "trainer.accelerator=cpu", "trainer.log_every_n_steps=1", "task.validation_rows=2"]


@pytest.fixture(scope="module")
def swept(place):
    """The folders of two jobs of two processes each, with replicated and with sharded weights."""
    before = set(runs())
    assert main(["-m", *LONG, "trainer=ddp,fsdp"]) == 0
    return sorted(set(runs()) - before, key=strategy)


def strategy(run):
    return yaml.safe_load((run / "config.yaml").read_text())["trainer"]["strategy"]


def test_a_sweep_of_two_jobs_makes_two_folders(swept):
    assert [strategy(run) for run in swept] == ["ddp", "fsdp"]
    one, other = swept
    assert figures(one) == pytest.approx(figures(other), rel=1e-3)  # dropout falls alike


def killed(*words):
    """Starts a run in a new process group and kills the group as soon as there is a checkpoint."""
    command = [sys.executable, TRAIN_PY, *words, "name=killed"]
    group = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
    before = set(runs())
    try:
        deadline = time.monotonic() + 120
        while not any((run / "checkpoints/last.ckpt").exists() for run in set(runs()) - before):
            assert group.poll() is None and time.monotonic() < deadline, group.stderr.read()
            time.sleep(0.01)
    finally:
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(group.pid, signal.SIGKILL)
        group.communicate()
    (run,) = set(runs()) - before
    return run.resolve()


@pytest.mark.parametrize("devices", [1, 2])
def test_kill_9_in_the_middle_of_an_epoch_and_resume(place, request, devices):
    """The final weights are bit-equal to those of a run that was not killed."""
    words = [*LONG, "trainer=ddp" if devices == 2 else "trainer=cpu"]
    whole = request.getfixturevalue("swept")[0] if devices == 2 else train(*words, "name=whole")
    run = killed(*words)
    stood = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"]
    assert 0 < stood < 60 / (2 * devices) and not (run / "metrics.json").exists()
    assert train(f"resume={run}") == run
    one, other = weights(whole), weights(run)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert figures(whole) == figures(run)
    # The figures of a step are written after its checkpoint: those of the step it was killed in may be missing.
    first, second = ([row for row in history(path) if row["step"] != str(stood)] for path in (whole, run))
    assert first == second
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
