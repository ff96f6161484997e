"""Training in several processes: the metrics of one process, one folder, one W&B run, and resuming after SIGTERM and kill -9."""

import csv
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from tests import forks
from tests.integration.conftest import TRANSLATION, train, write_data
from tests.integration.test_run_folder import figures, history, predictions, runs
from tests.precision import BILLIONTH

pytestmark = pytest.mark.slow
TRAIN_PY = str(Path(__file__).parents[2] / "train.py")

# Pairs of unequal length, 150 = 64 + 64 + 22: the last step of an epoch is a small one.
UNEVEN = [*TRANSLATION, "data.test=[dev.en,dev.de]", "data/batches=rows", "model.dropout=0", "optimizer=sgd", "optimizer.lr=0.2"]
UNEVEN += ["schedule=constant", "trainer.max_epochs=-1", "trainer.max_steps=7", "trainer.log_every_n_steps=1", "trainer.accelerator=cpu"]
UNEVEN += ["trainer.precision=64-true"]  # sums in another order differ in the last digits alone
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
    assert list(losses(run)) == list(losses(alone)) == list(range(1, 8))
    assert losses(run) == pytest.approx(losses(alone), rel=BILLIONTH)
    found, expected = weights(run), weights(alone)
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=BILLIONTH, rtol=0, msg=lambda text, name=name: f"{name}: {text}")
    texts = [(row["row"], row["input"], row["prediction"]) for row in predictions(run)]
    assert texts == [(row["row"], row["input"], row["prediction"]) for row in predictions(alone)]
    assert figures(run) == pytest.approx(figures(alone), rel=BILLIONTH)
    written = {name: value for name, value in figures(alone).items() if name.endswith(("bleu", "chrf"))}
    assert written == {name: figures(run)[name] for name in written}  # of the same texts: to the last digit


def test_two_accumulated_batches_are_one(alone):
    assert_alike(train(*UNEVEN, HALVES, "trainer.accumulate_grad_batches=2", "name=accumulated"), alone)


def started(launcher, words):
    """The processes that a launcher starts for `train.py WORDS`, two ranks in all. In "forks" they are as by srun, without a new Python."""
    port = free_port()
    match launcher:
        case "srun" | "forks":
            job = {"SLURM_JOB_ID": str(port), "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "2", "SLURM_NNODES": "1", "SLURM_NODEID": "0"}
            job |= {"SLURM_NTASKS_PER_NODE": "2", "SLURM_JOB_NODELIST": "localhost", "MASTER_PORT": str(port)}
            places = [{**job, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)} for rank in range(2)]
            if launcher == "forks":
                return [forks.start(forks.TRAIN, words, place) for place in places]
            return [popen([TRAIN_PY, *words], place) for place in places]
        case "torchrun":
            return [popen(["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", TRAIN_PY, *words])]
        case "two agents":
            meeting = ["--nnodes", "2", "--rdzv_backend", "c10d", "--rdzv_endpoint", f"localhost:{port}", "--rdzv_id", str(port)]
            words = [*words, "trainer.devices=1", "trainer.num_nodes=2"]
            return [popen(["-m", "torch.distributed.run", *meeting, "--nproc_per_node", "1", TRAIN_PY, *words]) for _ in range(2)]


def popen(arguments, variables=None):
    """A Python process in a session of its own."""
    command, environment = [sys.executable, *arguments], {**os.environ, **(variables or {})}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


whole = pytest.mark.whole


@pytest.mark.parametrize("launcher", ["forks", *(pytest.param(name, marks=whole) for name in ("srun", "torchrun", "two agents"))])
def test_a_launcher_makes_one_run(alone, place, launcher):
    before = set(runs())
    processes = started(launcher, [*UNEVEN, HALVES, "trainer=ddp", "logger=both", "logger.wandb.mode=offline"])
    said = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), said
    (run,) = set(runs()) - before
    assert_alike(run, alone)
    assert len(list(run.glob("wandb/offline-run-*/*.wandb"))) == 1
    assert not Path("wandb").exists()
    assert "".join(out for out, _ in said).count("python -m framework predict") == 1


# With dropout, and many steps an epoch.
LONG = [*TRANSLATION, "data/batches=rows", "data.batches.rows=2", "model.dropout=0.2", "trainer.max_epochs=2", "data.limit=44"]
LONG += ["trainer.accelerator=cpu", "trainer.log_every_n_steps=1", "task.validation_rows=2"]
EACH_STEP = "callbacks.checkpoint.every_n_train_steps=1"


@pytest.fixture(scope="module")
def swept(place):
    """The folders of two jobs of two processes each, with replicated and with sharded weights."""
    before = set(runs())
    assert forks.run(forks.TRAIN, ["-m", *LONG, "trainer=ddp,fsdp"])[0] == 0
    return sorted(set(runs()) - before, key=strategy)


def strategy(run):
    return yaml.safe_load((run / "config.yaml").read_text())["trainer"]["strategy"]


def test_a_sweep_of_two_jobs_makes_two_folders(swept):
    assert [strategy(run) for run in swept] == ["ddp", "fsdp"]
    one, other = swept
    assert figures(one) == pytest.approx(figures(other), rel=1e-3)  # dropout falls alike


def test_a_sweep_under_a_launcher_makes_two_folders_and_goes_on(place):
    words = ["-m", *TRANSLATION, "trainer=ddp", "trainer.max_steps=2", "trainer.max_epochs=-1", "seed=0,1", "name=under_srun"]
    for done in (0, 2):
        processes = started("forks", [*words, "trainer.devices=2", "logger=both", "logger.wandb.mode=offline"])
        said = [process.communicate(timeout=300) for process in processes]
        assert [process.returncode for process in processes] == [0, 0], said
        assert f"2 jobs, {done} of them done" in said[0][0] and "sweep" not in said[1][0]
    folder = Path("runs/translation/under_srun")
    ids = {(folder / run / "wandb_id.txt").read_text() for run in ("01_seed=0", "02_seed=1")}
    assert len(ids) == 2 and len(list(folder.glob("*/run.json"))) == 2


@pytest.fixture
def interrupted():
    """Starts a run and sends a signal to its first process as soon as there is a checkpoint that is not `known`. Returns its folder, exit
    code and what it said. All processes must then end by themselves."""
    groups = []

    def interrupted(number, *words, known=-1):
        before = set(runs())
        groups.append(process := forks.start(forks.TRAIN, words))
        deadline = time.monotonic() + 300
        while True:
            found = [run for run in set(runs()) - before or {newest_of(words)} if run and step(run) > known]
            if found:
                break
            assert process.poll() is None and time.monotonic() < deadline, process.said()
            time.sleep(0.01)
        process.send_signal(number)
        _, said = process.communicate()  # until the last rank has ended
        return found[0].resolve(), process.returncode, said

    yield interrupted
    for process in groups:
        with pytest.raises(ProcessLookupError):  # nothing is left
            os.killpg(process.pid, signal.SIGKILL)


def newest_of(words):
    """The folder of a run that is resumed."""
    return next((Path(word.partition("=")[2]) for word in words if word.startswith("resume=")), None)


def step(run):
    """Optimizer step of the newest checkpoint; -1 if there is none."""
    last = run / "checkpoints/last.ckpt"
    return torch.load(last, weights_only=True)["global_step"] if last.exists() else -1


def test_two_processes_stopped_by_sigterm_and_by_kill_9_go_on_bit_for_bit(swept, interrupted):
    """Only the parent gets the signals. SIGTERM: its ranks save and say so. SIGKILL: they end with it."""
    whole = swept[0]
    run, code, said = interrupted(signal.SIGTERM, *LONG, EACH_STEP, "trainer=ddp", "name=stopped")
    stood = step(run)
    assert code == 143 and 0 < stood < 22 and re.search(rf"SIGTERM.*last\.ckpt has step {stood};.* resume=\S*{run.name} ", said)
    resumed, code, _ = interrupted(signal.SIGKILL, f"resume={run}", known=stood)
    assert (resumed, code) == (run, -signal.SIGKILL) and stood < step(run) < 22 and not (run / "metrics.json").exists()
    ended = {str(stood), str(step(run))}
    assert forks.train(f"resume={run}") == run
    one, other = weights(whole), weights(run)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert figures(whole) == figures(run)
    # The figures of a step are written after its checkpoint: those of the step it ended in may be missing.
    first, second = ([row for row in history(path) if row["step"] not in ended] for path in (whole, run))
    assert first == second
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
