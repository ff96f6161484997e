"""An adapter as a file: the parameters that were trained beside a frozen model, for another run to start from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from framework.config import catalogue as index
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.runs.freezing import trained
from framework.utils.json_files import parse_json
from framework.utils.typed import fits, require
from framework.weights.safetensors_files import read_safetensors, save_tensors
from framework.weights.shapes import Shapes, mismatches, other_types, shapes

OPTION = "model.adapter.weights"
_FORMAT = "plugformer adapter 1"
_NOTES: dict[str, Any] = {"adapter": dict[str, Any], "task": str, "labels": list[str], "vocab_size": int}  # see `AdapterFile`


@dataclass(frozen=True)
class AdapterFile:
    """The trained parameters of a task: the adapter, other parameters of the model that were trained, and what the task adds to the model.

    adapter: its config node. task, labels: those of the head. vocab_size: of the tokenizer.
    """

    path: Path
    weights: dict[str, Tensor]
    adapter: dict[str, Any]
    task: str
    labels: list[str]
    vocab_size: int


def save_adapter(task: nn.Module, config: Mapping[str, Any], spec: DataSpec, path: Path) -> None:
    """Saves the trained parameters of a task as safetensors, the adapter described in the metadata. UserError: it has no adapter."""
    adapter = config["model"].get("adapter") or {"part": "adapter/none"}
    if adapter["part"] == "adapter/none":
        raise UserError("to=adapter needs a run with an adapter, such as model/adapter=lora; this run trained the model itself")
    notes = {"adapter": adapter, "task": config["task"]["part"], "labels": list(spec.labels), "vocab_size": spec.vocab_size}
    state = {name: parameter.detach().cpu().contiguous() for name, parameter in trained(task).items()}
    save_tensors(state, path, {"format": _FORMAT, "notes": json.dumps(notes, ensure_ascii=False)})


def read_adapter(path: Path | str) -> AdapterFile:
    """The content of an adapter file. UserError: there is no such file, or it is damaged or of another kind."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{OPTION}={path}: there is no such file")
    weights, metadata = read_safetensors(path, f"{OPTION}=")
    if metadata.get("format") != _FORMAT:
        raise UserError(f"{OPTION}={path} is no adapter of this program; python -m framework export RUN to=adapter writes one")
    where = f"{OPTION}={path}: the description of the adapter"
    notes = parse_json(metadata.get("notes", "{}"), where)
    if not isinstance(notes, dict):
        raise UserError(f"{where} is damaged: it is no JSON object")
    require(notes, _NOTES, where)
    if not fits(notes["adapter"].get("part"), str):
        raise UserError(f"{where} is damaged: the adapter has no part")
    return AdapterFile(path, weights, **{key: notes[key] for key in _NOTES})


def check_adapter(file: AdapterFile, config: Mapping[str, Any], model_shapes: Shapes) -> None:
    """model_shapes: of the trained parameters of the model. UserError: the file is of another adapter, or of another model."""
    saved = {name: shape for name, shape in shapes(file.weights).items() if name.startswith("model.")}
    adapter = config["model"]["adapter"]
    wrong = [*mismatches(model_shapes, saved), *other_types({name: file.weights[name] for name in saved})]
    traits = {key: index.load().traits(adapter["part"], key) for key in file.adapter}
    other = {key: value for key, value in file.adapter.items() if adapter.get(key) != value and "training_only" not in traits[key]}
    if wrong or any("pattern" not in traits[key] for key in other):  # other patterns may choose the same modules
        overrides = " ".join(f"'model.adapter.{key}={json.dumps(value)}'" for key, value in other.items())
        way = [f"The adapter in the file has: {overrides}"] if overrides else []
        raise UserError("\n".join([f"{OPTION}={file.path} does not fit this model and adapter:", *wrong, *way]))


@torch.no_grad()
def load_adapter(task: nn.Module, config: Mapping[str, Any], spec: DataSpec) -> list[str]:
    """Loads the file of `model.adapter.weights`, if there is one, into a new task. Returns lines for the user.

    The weights of the model are loaded; those that the task adds only for the same task with the same labels. UserError: it does not fit.
    """
    path = (config["model"].get("adapter") or {}).get("weights")
    if not path:
        return []
    file, parameters = read_adapter(path), trained(task)
    check_adapter(file, config, {name: shape for name, shape in shapes(parameters).items() if name.startswith("model.")})
    same_task = (file.task, file.labels) == (config["task"]["part"], list(spec.labels))
    loaded = [
        name
        for name, parameter in parameters.items()
        if name in file.weights and (name.startswith("model.") or (same_task and file.weights[name].shape == parameter.shape))
    ]
    for name in loaded:
        parameters[name].copy_(file.weights[name])
    missing = [name for name in parameters if name not in loaded]
    count = sum(parameters[name].numel() for name in loaded)
    lines = [f"adapter {path}: {len(loaded)} of {len(parameters)} trained tensors loaded, {count:,} parameters"]
    return lines + ([f"  newly initialized  {', '.join(missing)}"] if missing else [])
