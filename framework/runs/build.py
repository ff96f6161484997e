"""The data and the task of a config. Training, resuming, measuring and exporting all build them here, so that they are the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.registry import as_part, build, describe

if TYPE_CHECKING:
    from torch import Tensor, nn

    from framework.data.formats import Format
    from framework.data.module import Prepared
    from framework.data.spec import DataSpec
    from framework.tasks.base import Task


def prepare_data(config: Mapping[str, Any], folder: Path | None = None, splits: tuple[str, ...] | None = None) -> "Prepared":
    """Source -> tokenizer -> data spec -> encoded rows; each step is taken from the cache if its inputs are unchanged.

    folder: of a run whose tokenizer and data spec are used. splits: those wanted; None = all. UserError: what is wrong with the data.

    >>> data = prepare_data(compose(["task=classification", "data=files", "data.train=reviews.csv"]))
    >>> data.spec.labels, data.sizes["train"]["rows"], data.sizes["validation"]["rows"]
    (('negative', 'positive'), 38, 2)
    """
    from framework.data.module import prepare

    format = build(config["task"]["format"])
    source = build(config["data"], format=format, seed=config["seed"])
    return prepare(source, build(config["tokenizer"]), format, config["model"]["max_length"], folder, splits)


def build_task(config: Mapping[str, Any], spec: "DataSpec", format: "Format | None" = None) -> "Task":
    """The task of a config with initial weights. format: of the data; None = built from the config. UserError: its parts do not fit, or a
    pattern of `model.adapter` or `model.freeze` matches nothing.

    >>> config = compose(["task=classification", "model.dim=16"])
    >>> build_task(config, DataSpec(vocab_size=261, max_length=512, labels=("bad", "good"))).model.dim
    16
    """
    from framework.runs.freezing import freeze

    format = format or build(config["task"]["format"])
    task: Task = build(config["task"], model=as_part(config["model"]), spec=spec, format=format)
    attach_adapter(config["model"], task.model)
    freeze(task, config["model"].get("freeze"))
    return task


def attach_adapter(node: Mapping[str, Any], model: "nn.Module") -> None:
    """Adds the adapter of a model's config node, if it has one, to the model."""
    if node.get("adapter"):
        build(node["adapter"]).attach(model)


def merged(state: "Mapping[str, Tensor]", node: Mapping[str, Any]) -> "dict[str, Tensor]":
    """The weights of a model with this config node, the matrices of its adapter merged into the weights they adapt."""
    return build(node["adapter"]).merged(state) if node.get("adapter") else dict(state)


def build_on_meta(config: Mapping[str, Any], vocab_size: int | None = None) -> "Task":
    """The task of a config on the meta device: shapes without memory. vocab_size: null = that of the tokenizer option."""
    from framework.errors import UserError
    from framework.weights.meta import meta_device

    with meta_device():
        try:
            return build_task(config, placeholder_spec(config, vocab_size))
        except ValueError as error:
            raise UserError(str(error)) from error
        except AttributeError as error:  # what an owner reads of a part that does not inherit its base class
            if "/" not in (part := describe(type(error.obj))):
                raise
            cls = type(error.obj)
            raise UserError(
                f"{part} ({cls.__module__}.{cls.__qualname__}) has no attribute {error.name!r}, which its owner reads"
            ) from error


def placeholder_spec(config: Mapping[str, Any], vocab_size: int | None = None) -> "DataSpec":
    """A data spec for when no data is encoded yet: the vocabulary size of the tokenizer option, and two labels."""
    from framework.data.spec import DataSpec

    vocab_size = vocab_size or config["tokenizer"].get("vocab_size") or 261
    return DataSpec(vocab_size, config["model"]["max_length"], begin=1, end=2, unknown=3, mask=4, labels=("a", "b"))
