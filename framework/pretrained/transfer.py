"""Loading pretrained weights into a new model by name and shape.

`model.pretrained` is used by fresh runs alone: a run that is resumed, measured or exported has weights of its own. The shapes are
compared on the meta device first, so that a mismatch is reported before data is encoded.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from framework.config import catalogue as index
from framework.config.derived_defaults import normalized
from framework.config.diff import differences
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.huggingface.folder import copy_weights
from framework.pretrained.source import OPTION, PretrainedSource, PublishedSource
from framework.registry import build
from framework.weights.layer_selection import select_layers
from framework.weights.meta import meta_device
from framework.weights.shapes import Shapes
from framework.weights.shapes import shapes as shapes_of

if TYPE_CHECKING:
    from framework.tasks.base import Task

_POSITION_TABLE = re.compile(r"model\.(encoder|decoder)\.position\.table\.weight")


class WeightTransfer:
    """Which weights of a source a model loads, by name.

    loaded: weights of the model found in the source. missing: weights of the model that keep their initialization. unexpected: weights of
    the source that the model does not use. A weight of the model must have the same shape in both, with two exceptions: a token table that
    grew by special tokens keeps its first rows, and a position table may be cut. The weights of a head are loaded only into the same task
    with the same labels. `model.init_layers` chooses layers of the source. UserError: no layer in common, or a shape differs.
    """

    def __init__(self, shapes: Shapes, source: PretrainedSource, config: Mapping[str, Any], spec: DataSpec, task: "Task | None" = None):
        from framework.tasks.capabilities import Exportable

        self.shapes, self.source, self.config = shapes, source, config
        # name in the model -> name in the source
        self.names = select_layers({name: name for name in source.shapes}, config["model"].get("init_layers"), shapes, source.name)
        saved = {name: source.shapes[there] for name, there in self.names.items()}
        same_head = config["task"]["part"] == source.task and spec.labels == source.spec.labels
        if source.task is None and isinstance(task, Exportable):
            labels = tuple(task.hf_config().get("id2label", {}).values())
            same_head = task.hf_task == source.hf_task and labels in (source.spec.labels, ())
        vocab_sizes = (source.spec.vocab_size, spec.vocab_size)

        def fits(name: str) -> bool:
            if shapes[name] == saved[name]:
                return True
            cut = _POSITION_TABLE.fullmatch(name) is not None and shapes[name][0] < saved[name][0]
            return shapes[name][1:] == saved[name][1:] and (cut or (*saved[name][:1], *shapes[name][:1]) == vocab_sizes)

        common = [name for name in shapes if name in saved and (name.startswith("model.") or (same_head and fits(name)))]
        if not any(re.match(r"model\.(encoder|decoder)\.", name) for name in common):
            kinds = [node["part"].partition("/")[2] for node in (source.model, config["model"])]
            raise UserError(f"{OPTION}={source.name} is a {kinds[0]} model and this one a {kinds[1]}: they have no layer in common")
        wrong = [f"{name}: {saved[name]} there, {shapes[name]} here" for name in common if not fits(name)]
        if wrong:
            way = [f"The pretrained model has: {' '.join(self._differences())}"] if self._differences() else []
            raise UserError("\n".join([f"{OPTION}={source.name} does not fit this model:", *_few(wrong), *way]))
        self.loaded = common
        self.missing = [name for name in shapes if name not in common]
        self.unexpected = [name for name in saved if name not in common] + list(source.unknown)

    def load(self, task: "Task") -> None:
        """Copies the weights into the task."""
        copy_weights(task.state_dict(), {name: self.names[name] for name in self.loaded}, self.source.weights())

    def lines(self) -> list[str]:
        """Lines for the user: loaded, missing and unexpected weights, and options that differ."""
        numbers = sum(math.prod(self.shapes[name]) for name in self.loaded)
        lines = [f"pretrained {self.source.name}: {len(self.loaded)} of {len(self.shapes)} tensors loaded, {numbers:,} parameters"]
        lines += [f"  newly initialized  {names}" for names in (_grouped(self.missing),) if names]
        lines += [f"  not used           {names}" for names in (_grouped(self.unexpected),) if names]
        return lines + ([f"  differs there      {' '.join(self._differences())}"] if self._differences() else [])

    def _differences(self) -> list[str]:
        """The options of the source that this model has otherwise, as overrides."""
        return differences(normalized(self.source.model), normalized(self.config["model"]), index.load())


def transfer_weights(task: "Task", source: PretrainedSource, config: Mapping[str, Any], spec: DataSpec) -> WeightTransfer:
    """Loads into a task the weights of a source that fit. UserError: see `WeightTransfer`."""
    transfer = WeightTransfer(shapes_of(task.state_dict()), source, config, spec, task)
    transfer.load(task)
    return transfer


def check_pretrained(source: PretrainedSource, config: Mapping[str, Any], overrides: Sequence[str] = ()) -> None:
    """Compares the weights of the model with those of the source, without data and without memory. UserError: see `WeightTransfer`,
    and `_check_preset`."""
    if isinstance(source, PublishedSource):
        _check_preset(source, config["model"], overrides)
    with meta_device():
        model = build(config["model"], spec=source.spec)
    WeightTransfer({f"model.{name}": shape for name, shape in shapes_of(model.state_dict()).items()}, source, config, source.spec)


def _check_preset(source: PublishedSource, model: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """UserError: a model that was chosen by name differs from the published one in an option that was not typed. A typed difference is
    an experiment; one that was not typed would change the outputs silently."""
    keys = [word.lstrip("+~").partition("=")[0].replace("/", ".") for word in overrides]
    wrong = [
        word
        for word in differences(source.model, normalized(model), index.load())
        if not any(word.partition("=")[0].replace("/", ".").startswith(key) for key in keys if key not in ("model", OPTION))
    ]
    if wrong and "model" in keys:
        chosen = next(word for word in overrides if word.lstrip("+").startswith("model="))
        raise UserError(f"{chosen} is not the model in {source.name}; leave it out, or add what differs: {' '.join(wrong)}")


def _grouped(names: Sequence[str]) -> str:
    """Names of weights by the module they are in: `model.encoder (24), head (2)`."""
    modules = (".".join(name.split(".")[: 2 if name.startswith("model.") else 1]) for name in names)
    return ", ".join(f"{module} ({count})" for module, count in Counter(modules).items())


def _few(lines: Sequence[str], most: int = 3) -> list[str]:
    return list(lines[:most]) + ([f"... and {len(lines) - most} more"] if len(lines) > most else [])
