"""Two processes: the same losses, weights and files as one; resume after a kill; weights spread over both."""

import csv
import os
import socket
import subprocess
import sys

import pytest
import torch

from framework.registry import Part
from framework.tracking.csv_file import CsvTracker
from framework.training.callbacks import Checkpoint
from framework.training.optimizers import SGD
from framework.training.schedules import Cosine
from tests.training.toys import Loader, ToyTask, learner, rows, trainer, weights

pytestmark = pytest.mark.slow


def two(job, folder):
    """Runs a job of ranks.py in two processes. Their exit codes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0"}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.training.ranks", job, str(folder)],
            env={**os.environ, **world, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=300)[0] for process in ranks]
    print(*said, sep="\n----\n")
    return [process.returncode for process in ranks]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """One process with whole batches."""
    folder = tmp_path_factory.mktemp("alone")
    module = learner(ToyTask(), Part(SGD, lr=0.5, momentum=0.9), Part(Cosine, warmup=2), folder=folder)
    callbacks = [Checkpoint(folder, "validation/loss", "min")]
    loop = trainer(folder, max_steps=20, max_epochs=-1, callbacks=callbacks, logger=[CsvTracker(folder)])
    held_out = Loader(rows(31), 8)
    loop.fit(module, Loader(rows(70), 32, shuffle=True), held_out)
    loop.test(module, held_out, verbose=False)
    return folder, weights(module.task)


def figures(folder):
    """step -> figure -> value, without the clock's."""
    with open(folder / "metrics.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    return [{name: float(value) for name, value in line.items() if value and "second" not in name} for line in lines]


def assert_like_alone(folder, found, alone):
    expected_folder, expected = alone
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-4, rtol=0, msg=lambda text, name=name: f"{name}: {text}")
    for one, other in zip(figures(expected_folder), figures(folder), strict=True):
        assert other == pytest.approx({**one, "train/padding": other.get("train/padding")} if "train/padding" in one else one, abs=1e-4)
    assert (folder / "predictions.jsonl").read_text() == (expected_folder / "predictions.jsonl").read_text()


def test_ddp_is_one_process(tmp_path, alone):
    assert two("ddp", tmp_path) == [0, 0]
    assert_like_alone(tmp_path, torch.load(tmp_path / "weights.pt"), alone)


def test_fsdp_is_one_process_and_resumes_from_one_ordinary_file(tmp_path, alone):
    assert two("fsdp", tmp_path) == [0, 0]
    checkpoint = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 20
    assert_like_alone(tmp_path, {name.removeprefix("task."): value for name, value in checkpoint["state_dict"].items()}, alone)
    assert two("fsdp_resume", tmp_path) == [0, 0]
    assert torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 24


def test_killed_and_resumed_in_two_processes(tmp_path):
    """With dropout: bit for bit."""
    assert two("whole", tmp_path / "whole") == [0, 0]
    assert all(code != 0 for code in two("killed", tmp_path / "cut"))
    assert two("resumed", tmp_path / "cut") == [0, 0]
    one, other = (torch.load(tmp_path / name / "weights.pt") for name in ("whole", "cut"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert figures(tmp_path / "whole") == figures(tmp_path / "cut")
