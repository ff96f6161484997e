"""A task made of its config: built, given its adapter, frozen where that was asked for. Whoever needs a task has it from here, so that
what trains, is resumed, measured and used is the same."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from framework.registry import as_part, build

if TYPE_CHECKING:
    from torch import Tensor, nn

    from framework.data.formats import Format
    from framework.data.spec import DataSpec
    from framework.tasks.base import Task


def make_task(config: Mapping[str, Any], spec: "DataSpec", format: "Format | None" = None) -> "Task":
    """The task of a config, untrained. format: of the data; None = made from the config.

    UserError: its parts do not fit, or a pattern of what is adapted or frozen matches nothing.
    """
    from framework.runs.freezing import freeze

    format = format or build(config["task"]["format"])
    task: Task = build(config["task"], model=as_part(config["model"]), spec=spec, format=format)
    attach_adapter(config["model"], task.model)
    freeze(task, config["model"].get("freeze"))
    return task


def attach_adapter(node: Mapping[str, Any], model: "nn.Module") -> None:
    """Puts the adapter of a model's config node, if there is one, into the model that was built."""
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


def stand_in(config: Mapping[str, Any], vocab_size: int | None = None) -> "DataSpec":
    """A data spec where there is no data yet. Nobody knows its vocabulary and labels: the tokenizer's option and two labels stand in."""
    from framework.data.spec import DataSpec

    vocab_size = vocab_size or config["tokenizer"].get("vocab_size") or 261
    return DataSpec(vocab_size, config["model"]["max_length"], begin=1, end=2, unknown=3, mask=4, labels=("a", "b"))
