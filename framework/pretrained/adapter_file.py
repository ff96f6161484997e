"""An adapter by itself: what was trained beside weights that stayed as they were, in a file that another run can begin with."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from framework.config import catalogue as index
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.runs.freezing import trained
from framework.utils.files import replacing
from framework.weights.shapes import Shapes, mismatches, shapes

OPTION = "model.adapter.weights"
_FORMAT = "plugformer adapter 1"


@dataclass(frozen=True)
class AdapterFile:
    """What was trained: the adapter, the parameters beside it, and what the task added to the model.

    adapter: its config node. task, labels: whose head it holds. vocabulary: of the tokenizer it was trained with.
    """

    path: Path
    weights: dict[str, Tensor]
    adapter: dict[str, Any]
    task: str
    labels: list[str]
    vocab_size: int


def trained_state(task: nn.Module) -> dict[str, Tensor]:
    """The weights that training changed, by name: with an adapter it and what the task adds, with frozen parts all the others."""
    return {name: parameter.detach() for name, parameter in trained(task).items()}


def save_adapter(task: nn.Module, config: Mapping[str, Any], spec: DataSpec, path: Path) -> None:
    """Writes what was trained of the task, as safetensors; its metadata tell of the adapter. UserError: the model has none."""
    adapter = config["model"].get("adapter") or {"part": "adapter/none"}
    if adapter["part"] == "adapter/none":
        raise UserError("this run trained the model itself: it has no adapter that could stand alone")
    notes = {"adapter": adapter, "task": config["task"]["part"], "labels": list(spec.labels), "vocab_size": spec.vocab_size}
    state = {name: value.cpu().contiguous() for name, value in trained_state(task).items()}
    with replacing(path) as file:
        file.write(save(state, {"format": _FORMAT, "notes": json.dumps(notes, ensure_ascii=False)}))


def read_adapter(path: Path | str) -> AdapterFile:
    """What such a file holds. UserError: there is none, or it is damaged or of another kind."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{OPTION}={path}: there is no such file")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (SafetensorError, OSError) as error:
        raise UserError(f"{OPTION}={path} is truncated or damaged, or no safetensors file ({error})") from error
    if metadata.get("format") != _FORMAT:
        raise UserError(f"{OPTION}={path} is no adapter of this program; python -m framework export RUN to=adapter writes one")
    try:
        return AdapterFile(path, weights, **json.loads(metadata["notes"]))
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{OPTION}={path} is damaged: its notes on the adapter are not what this program writes") from error


def check_adapter(file: AdapterFile, config: Mapping[str, Any], own: Shapes) -> None:
    """own: of what is trained of the model. UserError: the file's adapter is not the config's, or not of such a model."""
    saved = {name: shape for name, shape in shapes(file.weights).items() if name.startswith("model.")}
    adapter = config["model"]["adapter"]
    wrong = mismatches(own, saved)
    traits = {key: index.load().traits(adapter["part"], key) for key in file.adapter}
    other = {key: value for key, value in file.adapter.items() if adapter.get(key) != value and "training_only" not in traits[key]}
    if wrong or any("pattern" not in traits[key] for key in other):  # patterns may differ if they choose the same weights
        ways = " ".join(f"'model.adapter.{key}={json.dumps(value)}'" for key, value in other.items())
        said = [f"{OPTION}={file.path} does not fit this model and adapter:", *wrong, *([f"As it was there: {ways}"] if ways else [])]
        raise UserError("\n".join(said))


@torch.no_grad()
def begin_adapter(task: nn.Module, config: Mapping[str, Any], spec: DataSpec) -> list[str]:
    """Puts the weights of `model.adapter.weights` into a new task: all of the model's, and what the task adds if it is the same task
    with the same labels. What was taken, in lines; none where there is no such file. UserError: it does not fit."""
    name = (config["model"].get("adapter") or {}).get("weights")
    if not name:
        return []
    file, own = read_adapter(name), trained(task)
    check_adapter(file, config, {key: shape for key, shape in shapes(own).items() if key.startswith("model.")})
    same_task = (file.task, file.labels) == (config["task"]["part"], list(spec.labels))
    taken = [
        key
        for key, parameter in own.items()
        if key in file.weights and (key.startswith("model.") or (same_task and file.weights[key].shape == parameter.shape))
    ]
    for key in taken:
        own[key].copy_(file.weights[key])
    new = [key for key in own if key not in taken]
    count = sum(own[key].numel() for key in taken)
    lines = [f"adapter from {name}: {len(taken)} of {len(own)} trained tensors, {count:,} numbers"]
    return lines + ([f"  new here         {', '.join(new)}"] if new else [])
