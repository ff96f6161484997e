"""Frozen parts: out of the gradient and the optimizer, in the checkpoint, and as they were when training ends."""

import pytest
import torch
from torch import nn

from framework.errors import UserError
from framework.registry import Part
from framework.runs.freezing import freeze, frozen_lines, trained
from framework.training.averaging import Average
from framework.training.callbacks import Checkpoint
from framework.training.optimizers import SGD, Adafactor, AdamW, Muon
from framework.training.schedules import Cosine
from tests.training.toys import Loader, NextTokenTask, adapted_task, learner, rows, trainer, weights

ALL = [AdamW, Adafactor, SGD, Muon]
FROZEN = ["embedding.*", "stack.layers.0.*"]


def frozen_task(**options):
    task = NextTokenTask(**options)
    freeze(task, FROZEN)
    return task


TASKS = {"frozen": frozen_task, "adapted": adapted_task}


@pytest.mark.parametrize("patterns", [["stack.layers.[0].*"], "stack.layers.0.*"])
def test_patterns_choose_by_name(patterns):
    task = NextTokenTask()
    freeze(task, patterns)
    assert trained(task).keys() == {name for name, _ in task.named_parameters() if not name.startswith("stack.layers.0.")}


def test_names_are_those_of_the_model():
    task = nn.ModuleDict({"model": nn.Linear(2, 2), "head": nn.Linear(2, 2)})
    freeze(task, ["weight", "head.bias"])
    assert trained(task).keys() == {"model.bias", "head.weight"}
    freeze(task, None)
    assert trained(task).keys() == {"model.bias", "head.weight"}


@pytest.mark.parametrize(
    ("patterns", "said"),
    [
        (
            ["embeding.*"],
            r"model.freeze: 'embeding.\*' matches no parameter \(did you mean 'embedding.\*'\?\); there are: embedding",
        ),
        (["embedding.*", "zzz"], r"'zzz' matches no parameter; there are: .*stack.layers.\*.linear.\*, stack.layers.\*.norm.\*, output.\*"),
        ("*", r"model.freeze leaves nothing to train: \*"),
        (["embedding.*", "stack.*", "output.*"], r"leaves nothing to train: embedding.\*, stack.\*, output.\*"),
    ],
)
def test_patterns_that_are_refused(patterns, said):
    with pytest.raises(UserError, match=said):
        freeze(NextTokenTask(), patterns)


def test_new_weights_that_are_frozen_are_reported():
    task = frozen_task()
    assert frozen_lines(task, ["output.weight"]) == []
    assert frozen_lines(task, list(task.state_dict())) == [
        "  new and frozen     embedding.weight, stack.layers.0.linear.weight, stack.layers.0.linear.bias and 2 more: "
        "they keep their random values"
    ]


def fit(folder, task, optimizer=AdamW, stop=None, resume=False, average=None):
    """Two epochs of nine batches, with dropout; optionally killed before a step."""
    module = learner(task, Part(optimizer, lr=0.02), Part(Cosine, warmup=3))
    callbacks = [Checkpoint(folder, "validation/loss", "min", every_n_train_steps=1), *([Average(average)] if average else [])]
    begin = module.training_step

    def step(*arguments, **keywords):
        if module.trainer.global_step == stop:
            raise InterruptedError
        return begin(*arguments, **keywords)

    module.training_step = step
    loop = trainer(folder, max_epochs=2, callbacks=callbacks)
    loop.fit(module, Loader(rows(70), 8, shuffle=True), Loader(rows(20), 7), ckpt_path=folder / "checkpoints/last.ckpt" if resume else None)
    return torch.load(folder / "checkpoints/last.ckpt", weights_only=True)


@pytest.mark.parametrize("optimizer", ALL)
@pytest.mark.parametrize("make", TASKS.values(), ids=TASKS)
def test_training_changes_what_is_trained_and_nothing_else(tmp_path, make, optimizer):
    task = make(dropout=0.3)
    before, learned = weights(task), trained(task).keys()
    checkpoint = fit(tmp_path, task, optimizer)
    after = {name.removeprefix("task."): value for name, value in checkpoint["state_dict"].items()}
    assert after.keys() == before.keys()  # frozen weights are kept
    assert {name for name in before if not torch.equal(before[name], after[name])} == learned
    assert 0 < len(learned) < len(before)
    state = checkpoint["optimizer_states"][0]
    assert sum(len(group["params"]) for group in state["param_groups"]) == len(learned)
    assert len(state["state"]) == len(learned)  # none for a frozen weight
    assert all(parameter.grad is None for name, parameter in task.named_parameters() if name not in learned)


@pytest.mark.parametrize("optimizer", [AdamW, Muon])
@pytest.mark.parametrize("average", [None, 0.9])
@pytest.mark.parametrize("make", TASKS.values(), ids=TASKS)
def test_resumed_bit_for_bit(tmp_path, make, average, optimizer):
    whole = fit(tmp_path / "whole", make(dropout=0.3), optimizer, average=average)
    with pytest.raises(InterruptedError):
        fit(tmp_path / "cut", make(dropout=0.3), optimizer, stop=11, average=average)
    resumed = fit(tmp_path / "cut", make(dropout=0.3, seed=4), optimizer, resume=True, average=average)
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, resumed["state_dict"][name]), name


@pytest.mark.parametrize("make", TASKS.values(), ids=TASKS)
def test_an_average_leaves_frozen_weights_to_the_last_bit(tmp_path, make):
    task = make(dropout=0.3)
    before, learned = weights(task), trained(task).keys()
    checkpoint = fit(tmp_path, task, average=0.9)
    mean, live = (
        {name.removeprefix("task."): value for name, value in checkpoint[key].items()} for key in ("state_dict", "current_model_state")
    )
    assert all(torch.equal(mean[name], before[name]) and torch.equal(live[name], before[name]) for name in before if name not in learned)
    assert any(not torch.equal(mean[name], live[name]) for name in learned)


def test_muon_takes_the_matrices_of_an_adapter():
    task = adapted_task()
    names = {id(parameter): name for name, parameter in task.named_parameters()}
    muon, adamw = Muon(task).inner
    assert {names[id(p)].rpartition(".")[2] for group in muon.param_groups for p in group["params"]} == {"lora_down", "lora_up"}
    assert {names[id(p)] for group in adamw.param_groups for p in group["params"]} == {"output.weight", "output.bias"}


def test_muon_with_no_matrix_left_to_train():
    task = NextTokenTask()
    freeze(task, "stack.*")
    with pytest.raises(UserError, match="choose optimizer=adamw"):
        Muon(task)


def test_frozen_parts_still_drop():
    """Dropout of frozen modules stays on, because it regularizes the trained layers."""
    task = frozen_task(dropout=0.5).train()
    data = next(iter(Loader(rows(8), 8)))
    with torch.no_grad():
        task.stack.layers[1].linear.weight.zero_()
    assert task(data).loss.item() != task(data).loss.item()
