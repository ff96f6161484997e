"""Optimizers: weight decay, the parameters of Muon, and resuming its two inner optimizers."""

import copy

import pytest
import torch
from torch import nn

from framework.errors import UserError
from framework.registry import get
from framework.training.optimizers import SGD, Adafactor, AdamW, Muon, stack_matrices
from tests.training.toys import Loader, NextTokenTask, batch, rows, weights

ALL = [AdamW, Adafactor, SGD, Muon]


def names_of(task, parameters):
    names = {id(parameter): name for name, parameter in task.named_parameters()}
    return {names[id(parameter)] for parameter in parameters}


def step(task, optimizer, number=0):
    data = batch(rows(8, seed=number), list(range(8)))
    result = task(data)
    optimizer.zero_grad()
    (result.loss / result.weight).backward()
    optimizer.step()


@pytest.mark.parametrize("optimizer", ALL)
def test_matrices_decay_and_norms_and_biases_do_not(optimizer):
    task = NextTokenTask()
    groups = optimizer(task, weight_decay=0.3).param_groups
    decayed = names_of(task, [p for group in groups if group["weight_decay"] == 0.3 for p in group["params"]])
    kept = names_of(task, [p for group in groups if group["weight_decay"] == 0 for p in group["params"]])
    assert decayed == {name for name, parameter in task.named_parameters() if parameter.ndim == 2}
    assert kept == {name for name, parameter in task.named_parameters() if "norm" in name or "bias" in name}


@pytest.mark.parametrize("optimizer", ALL)
def test_frozen_weights_are_left_out(optimizer):
    task = NextTokenTask()
    task.embedding.weight.requires_grad_(False)
    task.stack.layers[0].linear.weight.requires_grad_(False)
    found = names_of(task, [p for group in optimizer(task).param_groups for p in group["params"]])
    assert found == {name for name, parameter in task.named_parameters() if parameter.requires_grad}


def test_adamw_is_torchs():
    ours, theirs = NextTokenTask(), NextTokenTask()
    one = AdamW(ours, lr=0.02, betas=(0.8, 0.9), eps=1e-6, weight_decay=0.0)
    two = torch.optim.AdamW(theirs.parameters(), lr=0.02, betas=(0.8, 0.9), eps=1e-6, weight_decay=0.0)
    for number in range(5):
        step(ours, one, number)
        step(theirs, two, number)
    for name, value in weights(ours).items():
        torch.testing.assert_close(value, weights(theirs)[name], msg=name)


@pytest.mark.parametrize("optimizer", ALL)
def test_a_step_makes_the_loss_smaller(optimizer):
    task = NextTokenTask()
    made = optimizer(task)
    data = batch(rows(8), list(range(8)))
    before = task(data).loss.item()
    for _ in range(5):
        step(task, made)
    assert task(data).loss.item() < before


def test_muon_takes_the_matrices_inside_the_stacks():
    task = NextTokenTask()
    assert names_of(task, stack_matrices(task)) == {"stack.layers.0.linear.weight", "stack.layers.1.linear.weight"}
    muon, *adamw = Muon(task).inner
    assert names_of(task, [p for group in muon.param_groups for p in group["params"]]) == names_of(task, stack_matrices(task))
    assert {type(optimizer) for optimizer in adamw} == {torch.optim.AdamW}


def test_muon_is_torchs_muon_and_adamw(monkeypatch):
    """torch's iterations are in bfloat16; here both are in float64."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self.clone())
    ours, theirs = NextTokenTask(), NextTokenTask()
    one = Muon(ours, lr=0.02, weight_decay=0.1)
    matrices = stack_matrices(theirs)
    rest = [p for p in theirs.parameters() if all(p is not m for m in matrices)]
    two = torch.optim.Muon(matrices, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    three = torch.optim.AdamW([{"params": [p], "weight_decay": 0.1 if p.ndim == 2 else 0.0} for p in rest], lr=0.02, betas=(0.9, 0.98))
    for number in range(4):
        step(ours, one, number)
        data = batch(rows(8, seed=number), list(range(8)))
        result = theirs(data)
        theirs.zero_grad()
        (result.loss / result.weight).backward()
        two.step()
        three.step()
    for name, value in weights(ours).items():
        torch.testing.assert_close(value, weights(theirs)[name], msg=name)


@pytest.mark.parametrize("optimizer", ALL)
def test_a_resumed_optimizer_continues_bit_for_bit(optimizer):
    whole, half = NextTokenTask(), NextTokenTask()
    one, two = optimizer(whole), optimizer(half)
    for number in range(6):
        step(whole, one, number)
    for number in range(3):
        step(half, two, number)
    resumed = NextTokenTask(seed=5)
    three = optimizer(resumed)
    resumed.load_state_dict(half.state_dict())
    three.load_state_dict(copy.deepcopy(two.state_dict()))
    for number in range(3, 6):
        step(resumed, three, number)
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(resumed)[name]), name


def test_a_schedule_reaches_both_halves_of_muon_after_a_resume():
    task = NextTokenTask()
    optimizer = Muon(task)
    step(task, optimizer)
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = weights(task)
    step(task, optimizer)
    assert all(torch.equal(value, before[name]) for name, value in weights(task).items())


def test_muon_without_a_stack_is_refused():
    with pytest.raises(UserError, match="choose optimizer=adamw"):
        Muon(nn.Linear(2, 2))


@pytest.mark.parametrize("name", ["adamw", "adafactor", "sgd", "muon"])
def test_options_are_found_by_name(name):
    assert get(f"optimizer/{name}") in ALL


def test_batches_of_the_toys_are_uneven():
    """These tests need rows of different length, or a mean of means would pass."""
    assert len({int((b["targets"] != -100).sum()) for b in Loader(rows(70), 8)}) > 3
