"""Two processes: the same losses, weights and files as one; resume after a kill; weights spread over both."""

import csv
import re
import shutil
import socket

import pytest
import torch

from framework.registry import Part
from framework.runs.freezing import trained
from framework.tracking.csv_file import CsvTracker
from framework.training.callbacks import Checkpoint
from framework.training.distillation import StandardDistillation
from framework.training.optimizers import SGD
from framework.training.schedules import Cosine
from tests import forks
from tests.precision import BILLIONTH
from tests.training.toys import LOGGED, DistillableToy, Loader, NextTokenTask, PenalizedTask, adapted_task, learner, rows, trainer, weights

pytestmark = pytest.mark.slow


def two(folder, *jobs):
    """Run jobs of ranks.py in two processes, one after the other; returns exit codes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0"}
    places = [{**world, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    ranks = [forks.start("tests.training.ranks:main", [str(folder), *jobs], place) for place in places]
    print(*(word for process in ranks for word in process.communicate()), sep="\n----\n")
    return [process.returncode for process in ranks]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """One process with whole batches."""
    return fit_alone(tmp_path_factory.mktemp("alone"), NextTokenTask())


def fit_alone(folder, task):
    module = learner(task, Part(SGD, lr=0.5, momentum=0.9), Part(Cosine, warmup=2), folder=folder)
    callbacks = [Checkpoint(folder, "validation/loss", "min")]
    loop = trainer(folder, max_steps=20, max_epochs=-1, callbacks=callbacks, logger=[CsvTracker(folder)])
    held_out = Loader(rows(31), 8)
    loop.fit(module, Loader(rows(70), 32, shuffle=True), held_out)
    loop.test(module, held_out, verbose=False)
    return folder, weights(module.task)


def metrics(folder):
    """step -> metric -> value, without times and the memory of the process."""
    with open(folder / "metrics.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    return [{name: float(value) for name, value in line.items() if value and not re.search("second|memory", name)} for line in lines]


def assert_like_alone(folder, found, alone):
    expected_folder, expected = alone
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=BILLIONTH, rtol=0, msg=lambda text, name=name: f"{name}: {text}")
    for one, other in zip(metrics(expected_folder), metrics(folder), strict=True):
        assert other == pytest.approx({**one, "train/padding": other.get("train/padding")} if "train/padding" in one else one, rel=LOGGED)
    assert (folder / "predictions.jsonl").read_text() == (expected_folder / "predictions.jsonl").read_text()


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """Two processes that run complete jobs and are killed within the last; one start for all, because starting is slow."""
    folder = tmp_path_factory.mktemp("together")
    assert all(
        code != 0
        for code in two(
            folder, "ddp", "fsdp", "ddp_taught", "fsdp_taught", "adapted", "adapted_fsdp", "penalized_1", "penalized_4", "whole", "killed"
        )
    )
    return folder


@pytest.fixture(scope="module")
def resumed(together, tmp_path_factory):
    """Two new processes that resume the first ones."""
    folder = tmp_path_factory.mktemp("resumed") / "runs"
    shutil.copytree(together, folder)
    assert not (folder / "cut" / "weights.pt").exists()
    assert two(folder, "resumed", "fsdp_resumed") == [0, 0]
    return folder


def test_ddp_is_one_process(together, alone):
    assert_like_alone(together / "ddp", torch.load(together / "ddp" / "weights.pt"), alone)


def test_fsdp_is_one_process_and_keeps_one_ordinary_file(together, alone):
    checkpoint = torch.load(together / "fsdp" / "checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 20
    assert_like_alone(together / "fsdp", {name.removeprefix("task."): value for name, value in checkpoint["state_dict"].items()}, alone)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_teacher_in_two_processes_is_one_in_one(together, strategy, tmp_path):
    module = learner(DistillableToy(), Part(SGD, lr=0.5), distillation=StandardDistillation(DistillableToy(seed=7)))
    trainer(tmp_path, max_steps=6, max_epochs=-1).fit(module, Loader(rows(70), 32))
    found = torch.load(together / f"{strategy}_taught" / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert list(found) == list(module.state_dict())
    for name, value in module.state_dict().items():
        torch.testing.assert_close(found[name], value, atol=BILLIONTH, rtol=0, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("accumulate", [1, 4])
def test_auxiliary_losses_and_figures_are_those_of_one_process(together, accumulate, tmp_path):
    module = learner(PenalizedTask(), Part(SGD, lr=0.1, momentum=0.0))
    loop = trainer(tmp_path, max_steps=7, max_epochs=-1, logger=[CsvTracker(tmp_path)])
    loop.fit(module, Loader(rows(70), 32), Loader(rows(9), 4))
    found = torch.load(together / f"penalized_{accumulate}" / "weights.pt")
    for name, value in weights(module.task).items():
        torch.testing.assert_close(found[name], value, atol=BILLIONTH, rtol=0, msg=lambda text, name=name: f"{name}: {text}")
    for one, other in zip(metrics(tmp_path), metrics(together / f"penalized_{accumulate}"), strict=True):
        same = [name for name in one if name not in ("train/padding", "train/tokens")]  # whose micro-batches are padded less
        assert [other[name] for name in same] == pytest.approx([one[name] for name in same], rel=LOGGED)


def test_an_adapter_beside_frozen_weights_is_the_same_in_two_processes(together, tmp_path):
    alone = fit_alone(tmp_path, adapted_task())
    before, learned = weights(adapted_task()), trained(adapted_task()).keys()
    spread = torch.load(together / "adapted_fsdp" / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    found = {
        "adapted": torch.load(together / "adapted" / "weights.pt"),
        "adapted_fsdp": {name.removeprefix("task."): value for name, value in spread.items()},
    }
    for name, state in found.items():
        assert_like_alone(together / name, state, alone)
        assert {key for key in before if not torch.equal(before[key], state[key])} == learned


def test_fsdp_resumes(resumed):
    assert torch.load(resumed / "fsdp" / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 24


def test_killed_and_resumed_in_two_processes(resumed):
    """With dropout: bit for bit."""
    one, other = (torch.load(resumed / name / "weights.pt") for name in ("whole", "cut"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert metrics(resumed / "whole") == metrics(resumed / "cut")
