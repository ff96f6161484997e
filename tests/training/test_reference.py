"""A frozen task beside a task: unchanged, in evaluation mode, without records, and saved nowhere."""

import copy

import pytest
import torch

from framework import Part, Result, UserError, WithReference
from framework.tasks.frozen import FrozenTask
from framework.training.averaging import Average
from framework.training.callbacks import Checkpoint
from tests.training.toys import SGD, Loader, NextTokenTask, PenalizedTask, learner, rows, trainer, weights


class Cautious(NextTokenTask, WithReference):
    """Stays near its reference: the squared distance of their scores."""

    def forward(self, batch):
        result = super().forward(batch)
        with self.frozen_reference() as reference:
            other = reference(batch)
        tokens = batch["targets"] != -100
        return Result((result.output - other.output)[tokens].square().sum(), tokens.sum(), result.output)


@pytest.fixture
def pair():
    task, reference = Cautious(), PenalizedTask(dropout=0.5, seed=7)
    task.frozen = FrozenTask(lambda: reference)
    return task, reference


def test_a_reference_is_used_frozen(pair, tmp_path):
    task, reference = pair
    before, module = weights(reference), learner(task, Part(SGD, lr=0.05))
    callbacks = [Average(decay=0.9), Checkpoint(tmp_path, "validation/loss", "min")]
    trainer(tmp_path, max_epochs=6, callbacks=callbacks).fit(module, Loader(rows(64), 16), Loader(rows(9), 4))
    assert all(torch.equal(value, before[name]) for name, value in weights(reference).items())
    assert not reference.training and not any(p.requires_grad or p.grad is not None for p in reference.parameters())
    assert weights(task).keys() == weights(NextTokenTask()).keys()
    saved = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)
    assert {*saved["state_dict"]} == {f"task.{name}" for name in weights(task)}
    assert len(saved["optimizer_states"][0]["state"]) == len(list(task.parameters()))
    assert "train/even" not in module.logged_metrics and "train/tokens" not in module.logged_metrics  # of the reference
    ids = next(iter(Loader(rows(9), 9)))
    far, near = (each.eval()(ids) for each in (with_reference(Cautious(), reference), task))
    assert float(near.loss) < 0.7 * float(far.loss)  # it has come nearer
    assert module.logged_metrics["validation/loss"] == pytest.approx(float(near.loss / near.weight), rel=0.2)


def with_reference(task, reference):
    task.frozen = FrozenTask(lambda: reference)
    return task


def test_copies_share_a_reference_that_is_loaded_once():
    loaded = []
    task = Cautious()
    task.frozen = FrozenTask(lambda: loaded.append(1) or NextTokenTask(seed=7))
    batch = next(iter(Loader(rows(4), 4)))
    for each in (task, copy.deepcopy(task)):
        each(batch)
    assert loaded == [1] and copy.deepcopy(task).frozen is task.frozen


def test_a_reference_has_the_precision_of_its_user(pair):
    task, reference = pair
    task.to(torch.bfloat16)(next(iter(Loader(rows(4), 4))))
    assert reference.output.weight.dtype == torch.bfloat16


def test_a_task_without_its_reference_says_what_it_needs():
    with pytest.raises(UserError, match="task.reference=RUN"):
        Cautious()(next(iter(Loader(rows(4), 4))))
