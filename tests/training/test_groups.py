"""Layer-wise learning rates against tables written by hand."""

import pytest
import torch
from pytorch_lightning.callbacks import Callback
from torch import nn

from framework.errors import UserError
from framework.registry import Part, build
from framework.testing.toy_models import toy_model
from framework.training.callbacks import Checkpoint
from framework.training.groups import lr_multipliers, parameter_groups
from framework.training.optimizers import SGD, Adafactor, AdamW, Muon
from framework.training.schedules import Linear
from tests.training.toys import Loader, NextTokenTask, learner, rows, trainer, weights

ALL = [AdamW, Adafactor, SGD, Muon]
D, H = 0.5, 4.0  # layer_decay and head_lr_multiplier: powers of two, so that products are exact


class Headed(nn.Module):
    """A task with a model and a head."""

    def __init__(self, family, **options):
        super().__init__()
        self.model = toy_model(family, dim=8, num_heads=2, **options)
        self.head = nn.Linear(8, 2)


def expected(task, table):
    """The multiplier of each parameter, from the first row of the table with a prefix of its name."""
    return {name: next(factor for prefix, factor in table if name.startswith(prefix)) for name, _ in task.named_parameters()}


TABLES = {
    "encoder-only": (
        "encoder_only",
        {"num_layers": 3, "segments": 2, "embedding_dim": 4, "embedding_norm": Part("norm/layer")},
        [
            ("model.tokens.", 1 / 8),
            ("model.embeddings.segments.", 1 / 8),
            ("model.embeddings.norm.", 1 / 8),
            ("model.embeddings.projection.", 1 / 8),
            ("model.encoder.position.", 1 / 8),
            ("model.encoder.layers.0.", 1 / 4),
            ("model.encoder.layers.1.", 1 / 2),
            ("model.encoder.layers.2.", 1),
            ("model.encoder.final_norm.", 1),
            ("head.", 4),
        ],
    ),
    "decoder-only": (
        "decoder_only",
        {"num_layers": 2, "tied": False, "output_bias": True, "position": Part("position/relative")},
        [
            ("model.tokens.", 1 / 4),
            ("model.decoder.position.", 1 / 4),
            ("model.decoder.layers.0.", 1 / 2),
            ("model.decoder.layers.1.", 1),
            ("model.decoder.final_norm.", 1),
            ("model.lm_head.", 1),
            ("head.", 4),
        ],
    ),
    "encoder-decoder": (
        "encoder_decoder",
        {"num_layers": 2, "num_decoder_layers": 3, "embedding_norm": Part("norm/layer"), "output_bias": True},
        [
            ("model.tokens.", 1 / 8),  # below both stacks; the decoder is the deeper one
            ("model.source.", 1 / 8),
            ("model.encoder.position.", 1 / 4),
            ("model.encoder.layers.0.", 1 / 2),
            ("model.encoder.layers.1.", 1),
            ("model.encoder.final_norm.", 1),
            ("model.target.", 1 / 8),
            ("model.decoder.position.", 1 / 8),
            ("model.decoder.layers.0.", 1 / 4),
            ("model.decoder.layers.1.", 1 / 2),
            ("model.decoder.layers.2.", 1),
            ("model.decoder.final_norm.", 1),
            ("model.lm_head.", 1),
            ("head.", 4),
        ],
    ),
}


@pytest.mark.parametrize("optimizer", ALL)
@pytest.mark.parametrize(("family", "options", "table"), TABLES.values(), ids=TABLES)
def test_every_group_has_the_rate_of_the_table(family, options, table, optimizer):
    task = Headed(family, **options)
    wanted = expected(task, table)
    assert set(dict(table)) == {prefix for prefix, _ in table if any(name.startswith(prefix) for name in wanted)}  # all match
    names = {id(parameter): name for name, parameter in task.named_parameters()}
    made = optimizer(task, lr=0.1, weight_decay=0.25, layer_decay=D, head_lr_multiplier=H)
    found = {names[id(p)]: (group["lr"], group["weight_decay"]) for group in made.param_groups for p in group["params"]}
    shape = {name: parameter.ndim for name, parameter in task.named_parameters()}
    assert found == {name: (0.1 * factor, 0.25 if shape[name] >= 2 else 0.0) for name, factor in wanted.items()}


def test_by_default_there_is_one_rate_and_two_groups():
    task = Headed("encoder_only")
    assert set(lr_multipliers(task, 1.0, 1.0).values()) == {1.0}
    assert [(group["lr"], group["weight_decay"]) for group in parameter_groups(task, 0.1, 0.25)] == [(0.1, 0.25), (0.1, 0.0)]


def test_the_highest_rate_comes_first():
    made = parameter_groups(Headed("encoder_only", num_layers=3), 1.0, 0.25, D, H)
    assert [group["lr"] for group in made] == [4, 4, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]


def test_a_layer_that_is_every_layer_is_one():
    task = Headed("encoder_only", num_layers=1)
    task.model.encoder.layers.append(task.model.encoder.layers[0])
    factors = lr_multipliers(task, D, H)
    assert {factor for name, factor in factors.items() if ".layers." in name} == {1.0}
    assert factors["model.tokens.weight"] == 0.5


def test_parameters_of_a_model_or_a_stack_itself_stand_below_its_layers():
    task = Headed("encoder_only", num_layers=2)
    task.model.direction, task.model.encoder.bias = nn.Parameter(torch.zeros(8)), nn.Parameter(torch.zeros(8))
    factors = lr_multipliers(task, D, H)
    assert (factors["model.direction"], factors["model.encoder.bias"]) == (0.25, 0.25)


def test_layer_decay_needs_layers():
    with pytest.raises(UserError, match="optimizer.layer_decay needs a model with a stack of layers"):
        AdamW(NextTokenTask(), layer_decay=0.9)


@pytest.mark.parametrize(
    ("option", "reason"), [("layer_decay", "layer_decay must be in"), ("head_lr_multiplier", "head_lr_multiplier must be")]
)
def test_a_multiplier_of_zero_is_refused(option, reason):
    with pytest.raises(UserError, match=reason):
        build({"part": "optimizer/adamw", option: 0.0}, model=Headed("encoder_only"))


class Modelled(NextTokenTask):
    """The toy task with a stack of layers."""

    def __init__(self, **options):
        super().__init__(**options)
        self.model = nn.Module()
        for name in ("embedding", "stack"):
            self.model.add_module(name, self._modules.pop(name))

    def __getattr__(self, name):
        return getattr(self.model, name) if name in ("embedding", "stack") else super().__getattr__(name)


OPTIONS = {"layer_decay": D, "head_lr_multiplier": H}


@pytest.mark.parametrize("optimizer", ALL)
def test_rates_move_weights_as_far_as_the_table_says(optimizer):
    """One step with a learning rate of 0 for all parameters but those with multiplier 1 changes only these."""
    task = Modelled()
    made = optimizer(task, weight_decay=0.0, **OPTIONS)
    names = {id(parameter): name for name, parameter in task.named_parameters()}
    top = max(group["lr"] for group in made.param_groups) / H
    for group in made.param_groups:
        group["lr"] *= group["lr"] == top
    kept = {names[id(p)] for group in made.param_groups if group["lr"] for p in group["params"]}
    assert kept and all(name.startswith("model.stack.layers.1.") for name in kept)
    before = weights(task)
    data = next(iter(Loader(rows(8), 8)))
    task(data).loss.backward()
    made.step()
    assert {name for name, value in weights(task).items() if not torch.equal(value, before[name])} == kept


class Killed(Exception):
    """Like kill -9: nothing is saved."""


class Watch(Callback):
    """Records the learning rates of every step; kills the run before one."""

    def __init__(self, kill):
        self.kill, self.rates = kill, []

    def on_train_batch_start(self, loop, module, batch, batch_idx):
        if loop.global_step == self.kill:
            raise Killed
        self.rates.append([group["lr"] for group in loop.optimizers[0].param_groups])


def fit(folder, optimizer, watch, resume=False):
    """Eight steps, saved after each."""
    module = learner(Modelled(dropout=0.3), Part(optimizer, lr=0.02, **OPTIONS), Part(Linear, warmup=2, floor=0.25))
    callbacks = [Checkpoint(folder, "validation/loss", "min", every_n_train_steps=1), watch]
    loop = trainer(folder, max_steps=8, max_epochs=-1, callbacks=callbacks)
    loop.fit(module, Loader(rows(70), 8, shuffle=True), Loader(rows(20), 7), ckpt_path=folder / "checkpoints/last.ckpt" if resume else None)
    return module


@pytest.mark.parametrize("optimizer", [AdamW, Muon])
def test_rates_keep_their_ratio_through_schedule_and_resume(tmp_path, optimizer):
    watch, cut, after = Watch(None), Watch(5), Watch(None)
    whole = fit(tmp_path / "whole", optimizer, watch)
    table = [group["lr"] for group in optimizer(Modelled(), lr=0.02, **OPTIONS).param_groups]
    assert (max(table), min(table)) == (0.02 * H, 0.02 * D**2)
    schedule = Linear(warmup=2, floor=0.25, total=8)
    assert [pytest.approx([lr * schedule(step) for lr in table]) for step in range(8)] == watch.rates
    assert whole.logged_metrics["train/lr"] == pytest.approx(max(table) * schedule(8))  # the highest one, of the next step

    with pytest.raises(Killed):
        fit(tmp_path / "cut", optimizer, cut)
    resumed = fit(tmp_path / "cut", optimizer, after, resume=True)
    assert after.rates == watch.rates[5:]
    found = weights(resumed.task)
    assert all(torch.equal(value, found[name]) for name, value in weights(whole.task).items())
