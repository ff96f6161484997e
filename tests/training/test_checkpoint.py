"""Checkpoints: weights are restored; a damaged, foreign or hostile file is refused and never executed."""

import os
import pickle
from random import Random

import pytest
import torch

from framework.errors import UserError
from framework.runs.checkpoint import fill, load_weights
from framework.runs.predictor import Predictor
from tests.training.toys import Loader, NextTokenTask, learner, rows, trainer, weights


def save(folder, state, name="best.ckpt"):
    path = folder / name
    torch.save({"state_dict": {f"task.{key}": value for key, value in state.items()}}, path)
    return path


def refused(call, *said):
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert len(message.splitlines()) <= 6
    for part in said:
        assert part in message, message


def test_weights_come_back(tmp_path):
    source, target = NextTokenTask(seed=1), NextTokenTask(seed=2)
    path = save(tmp_path, source.state_dict())
    fill(target, load_weights(path), path)
    for name, value in weights(source).items():
        assert torch.equal(value, weights(target)[name]), name


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_truncated(tmp_path, share):
    path = save(tmp_path, NextTokenTask().state_dict())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    refused(lambda: load_weights(path), str(path), "is truncated or damaged" if share else "is no file of torch.save")


@pytest.mark.parametrize(
    "content",
    [b"", b"just text", b"\x80\x04K\x01.", pickle.dumps({"a": 1}), b"PK\x03\x04 something zipped", bytes(range(256)) * 9],
    ids=range(6),
)
def test_foreign(tmp_path, content):
    path = tmp_path / "best.ckpt"
    path.write_bytes(content)
    refused(lambda: load_weights(path), str(path))


def test_foreign_tensors(tmp_path):
    for content in (torch.zeros(3), {"model": torch.zeros(3)}, {"state_dict": {"a": 1}}):
        torch.save(content, tmp_path / "best.ckpt")
        refused(lambda: load_weights(tmp_path / "best.ckpt"), "has no state_dict of tensors")


def test_damaged_anywhere(tmp_path):
    """With random bytes changed a file is read (tensors have no checksum) or refused with a UserError."""
    whole = save(tmp_path, NextTokenTask().state_dict()).read_bytes()
    random, refusals = Random(0), 0
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(random.choice((1, 3, 30))):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        path = tmp_path / "damaged.ckpt"
        path.write_bytes(damaged)
        try:
            load_weights(path)
        except UserError:
            refusals += 1
    assert refusals > 30


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


def test_hostile(tmp_path):
    torch.save({"state_dict": {}, "x": Hostile(tmp_path / "ran")}, tmp_path / "best.ckpt")
    refused(lambda: load_weights(tmp_path / "best.ckpt"), "might run code", "system")
    (tmp_path / "plain.ckpt").write_bytes(pickle.dumps(Hostile(tmp_path / "ran")))
    refused(lambda: load_weights(tmp_path / "plain.ckpt"))
    assert not (tmp_path / "ran").exists()


def test_weights_of_another_model_are_refused_by_name_and_shape(tmp_path):
    task = NextTokenTask()
    state = dict(task.state_dict())
    state["output.weight"] = torch.zeros(11, 9)
    state["extra"] = state.pop("embedding.weight")
    refused(
        lambda: fill(task, state, tmp_path / "best.ckpt"),
        "not in the file: embedding.weight",
        "not in the model: extra",
        "of another shape: output.weight: (11, 9) in the file, (11, 8) in the model",
    )


def test_a_broken_checkpoint_is_refused_when_resuming(tmp_path):
    path = save(tmp_path, NextTokenTask().state_dict())
    path.write_bytes(path.read_bytes()[:1000])
    refused(lambda: trainer(tmp_path).fit(learner(), Loader(rows(8), 8), ckpt_path=path), "is truncated or damaged")


def test_missing(tmp_path):
    refused(lambda: load_weights(tmp_path / "best.ckpt"), "there is no such checkpoint")


def test_a_run_without_checkpoint(tmp_path):
    (tmp_path / "config.yaml").write_text("task: {part: task/x}\nmodel: {part: model/x}\n")
    refused(lambda: Predictor.load(tmp_path), "has no checkpoint", f"resume={tmp_path}")
