"""A task made of its config: built, given its adapter, frozen where that was asked for. Whoever needs a task has it from here, so that
what trains, is resumed, measured and used is the same."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from framework.registry import as_part, build

if TYPE_CHECKING:
    from torch import Tensor, nn

    from framework.data.facts import Facts
    from framework.training.task import Task


def make_task(config: Mapping[str, Any], facts: "Facts") -> "Task":
    """The task of a config, untrained. UserError: its parts do not fit, or a pattern of what is adapted or frozen matches nothing."""
    from framework.training.freezing import freeze

    task: Task = build(config["task"], model=as_part(config["model"]), facts=facts)
    _attach(config["model"], task.model)
    freeze(task, config["model"].get("freeze"))
    return task


def _attach(node: Mapping[str, Any], model: "nn.Module") -> None:
    if node.get("adapter"):  # a run from before there were any has none
        build(node["adapter"]).attach(model)


def merged(state: "Mapping[str, Tensor]", node: Mapping[str, Any]) -> "dict[str, Tensor]":
    """The weights of a model of that config node as those of one without an adapter."""
    return build(node["adapter"]).merged(state) if node.get("adapter") else dict(state)


def make_on_meta(config: Mapping[str, Any]) -> "Task":
    """The task of a config without its weights: no memory is taken."""
    import torch

    from framework.errors import UserError

    with torch.device("meta"):
        try:
            return make_task(config, stand_in(config))
        except ValueError as error:
            raise UserError(str(error)) from error


def stand_in(config: Mapping[str, Any], vocabulary: int | None = None) -> "Facts":
    """Facts where there is no data yet. Nobody knows its vocabulary and labels: the tokenizer's option and two labels stand in."""
    from framework.data.facts import Facts

    vocabulary = vocabulary or config["tokenizer"].get("vocabulary") or 261
    return Facts(vocabulary, config["model"]["max_length"], begin=1, end=2, unknown=3, mask=4, labels=("a", "b"))


def check(config: Mapping[str, Any]) -> None:
    """What is adapted and frozen, before there is any data. UserError: a pattern matches nothing, an adapter's file does not fit."""
    node = config["model"]
    adapter = node.get("adapter") or {}
    if not node.get("freeze") and adapter.get("part", "adapter/none") == "adapter/none":
        return
    import torch

    from framework import catalogue as index
    from framework.adapter_file import check_adapter, read_adapter
    from framework.patterns import matched, unmatched
    from framework.shapes import shapes
    from framework.training.freezing import trained

    index.load()  # the registry then knows where each part is registered
    file = read_adapter(adapter["weights"]) if adapter.get("weights") else None
    with torch.device("meta"):
        model = build(node, facts=stand_in(config, file.vocabulary if file else None))
    _attach(node, model)
    if file:
        check_adapter(file, config, {f"model.{name}": shape for name, shape in shapes(trained(model)).items()})
    patterns, learned = node.get("freeze"), list(trained(model))
    if unmatched(patterns, [name for name, _ in model.named_parameters()]) or len(matched(patterns, learned)) == len(learned):
        make_on_meta(config)  # they may name what the task adds, or leave that alone to train
