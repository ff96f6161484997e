"""Options with the trait `ruled`: the constructor takes every value that types and rules allow, so that `check` need not call it, and need
not import Lightning for it."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from framework import registry
from framework.config import catalogue as index
from framework.config.compose import compose
from framework.config.validate import fits
from framework.errors import UserError
from framework.registry import as_part, broken, build
from framework.registry.rules import names_in
from framework.training.groups import LayerRates
from framework.training.limits import Limits
from framework.workflows.preflight import check_options
from framework.workflows.trial import ruled, try_optimizer, try_trainer
from tests.config.test_values import placed, put, tree

ROOT = Path(__file__).parents[2]
VALUES = (-1, 0, 1, 2, 7, 0.25, 0.5, 0.999, 1.0, 30.0, 10**6, True, False, None, "text", "00:00:01:00", [0.5, 0.25], [1e-8, 0.5], [0])
VALUES += ("auto", "cpu", "gpu", "mps", "norm", "value", "warn", "bar", "lines", "off", 16, 32, 64, "bf16")
VALUES += ("bf16-mixed", "bf16-true", "16-mixed", "16-true", "32-true", "64-true", "transformer-engine")


def declared():
    """Every ruled option: part, option."""
    for kind, names in index.load().options.items():
        for name, entry in names.items():
            yield from ((f"{kind}/{name}", option) for option, field in entry["fields"].items() if "ruled" in field["traits"])


def allowed(part, option):
    """The nodes of a part with every value of an option that types and rules allow."""
    kind = index.load().option(part)["fields"][option]["type"]
    config, path = placed(part)
    here = tree(config, path)
    names = {**here.values, "provided": here.provided()}
    rules = {rule: why for rule, why in here.declared.get("rules", {}).items() if option in names_in(rule)}
    return [{**here.node, option: value} for value in VALUES if fits(value, kind) and not broken(rules, {**names, option: value})]


def a_task():
    """A task whose model has a stack of two layers."""
    stack = nn.Module()
    stack.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
    return nn.ModuleDict({"model": nn.ModuleDict({"stack": stack})})


@pytest.mark.parametrize(("part", "option"), list(declared()))
def test_the_constructor_takes_what_the_rules_allow(part, option, tmp_path):
    found = allowed(part, option)
    assert found and all(map(ruled, found))
    for node in found:
        match part.partition("/")[0]:
            case "trainer":
                node |= {"devices": 1, "num_nodes": 1}  # `count_processes` judges both
                for steps in (-1, 50):
                    node["max_steps"] = node["max_steps"] if option == "max_steps" else steps
                    trainer = build(node, callbacks=[], logger=[], plugins=[], default_root_dir=tmp_path)
                    assert Limits.of(trainer) == Limits.of_node(node), node[option]
                torch.use_deterministic_algorithms(False)
            case "callback":
                build(node, folder=tmp_path, monitor="validation/loss", mode="min")
            case _:
                as_part(node)(model=a_task())


def test_what_the_rules_do_not_judge_is_built():
    config = compose(["task=classification"]).config
    for group, option, value in (("trainer", "max_time", "00:00:01:00"), ("trainer", "sync_batchnorm", True)):
        assert not ruled(put(config, (group, option), value)[group])
    config = put(config, ("trainer", "check_val_every_n_epoch"), None)
    with pytest.raises(UserError, match=r"trainer.*val_check_interval"):  # Lightning's own rule: it must be a number of batches
        try_trainer(put(config, ("trainer", "val_check_interval"), 0.5))
    assert not ruled({"part": "callback/finite"})  # of another package such a part may refuse to be built


@pytest.mark.parametrize("name", index.load().names("optimizer"))
def test_an_optimizer_refuses_a_model_without_being_built(name):
    node = {key: field["default"] for key, field in index.load().option(f"optimizer/{name}")["fields"].items()}
    node |= {"part": f"optimizer/{name}", "layer_decay": 0.5}
    model = nn.ModuleDict({"model": nn.Linear(2, 2)})
    assert ruled(node) and issubclass(registry.get(node["part"]), LayerRates)
    with pytest.raises(UserError) as built:
        as_part(copy.deepcopy(node))(model=model)
    with pytest.raises(UserError) as judged:
        try_optimizer(node, model)
    assert str(judged.value) == str(built.value)


def test_check_imports_neither_lightning_nor_torchmetrics_nor_the_compiler():
    """Importing them takes longer than the answer."""
    index.load.cache_clear()
    index.load()  # made and kept, if a source has changed since
    heavy = ["pytorch_lightning", "torchmetrics", "torch._dynamo", "torch.distributed.tensor", "sympy", "wandb", "datasets"]
    commands = [["task=classification"], ["task=translation", "optimizer=muon", "trainer.max_epochs=7", "callbacks.average.decay=0.99"]]
    commands += [["task=ner", "trainer.precision=bf16-mixed", "callbacks.early_stopping.patience=3"]]
    program = f"""\
import sys
from framework.__main__ import main

for words in {commands}:
    code = main(["check", *words])
    print("heavy:", code, *[name for name in {heavy!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line for line in done.stdout.splitlines() if line.startswith("heavy:")] == ["heavy: 0"] * len(commands), (
        done.stdout + done.stderr
    )


def test_a_check_of_the_defaults_builds_no_trainer(monkeypatch):
    from framework.training import trainers

    monkeypatch.setattr(trainers.LightningTrainer, "__init__", None)
    check_options(compose(["task=classification", "data=files", "data.train=a.csv"]).config)
