"""The weights of a run: read from its checkpoint or export, and loaded into its task."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from framework.data.formats import Format
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.runs.build import build_task
from framework.tasks.base import Task
from framework.weights.meta import on_meta
from framework.weights.safetensors_files import load_state
from framework.weights.shapes import mismatches, other_types, shapes
from framework.weights.torch_files import read_checkpoint

_PREFIX = "task."  # the name of the task in the learner


def load_weights(path: Path) -> dict[str, Tensor]:
    """The weights of the task in a checkpoint (the average, if the run kept one) or in an exported model.safetensors.

    UserError: the file is truncated, foreign or hostile.
    """
    if path.suffix == ".safetensors":
        return load_state(path)
    state = read_checkpoint(path)["state_dict"]
    return {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}


def load_task(config: Mapping[str, Any], spec: DataSpec, path: Path, format: Format | None = None) -> Task:
    """The task of a config with the weights in a file, in evaluation mode. The config is compared with the file before memory is allocated.
    UserError: see `load_weights` and `fill`."""
    state = load_weights(path)
    with on_meta(f"the config.yaml beside {path}", len(state)):
        own = build_task(config, spec, format).state_dict()
    check_fit(own, state, path)
    task = build_task(config, spec, format)
    task.load_state_dict(state)
    return task.eval()


def fill(task: Task, state: Mapping[str, Tensor], path: Path) -> None:
    """Copies weights into a task. UserError: names or shapes differ; one line for each kind of difference."""
    own = task.state_dict()
    check_fit(own, state, path)
    task.load_state_dict(dict(state))


def check_fit(own: Mapping[str, Tensor], state: Mapping[str, Tensor], path: Path) -> None:
    """UserError: see `fill`. own: the weights of the task, which may be on the meta device."""
    if wrong := mismatches(shapes(own), shapes(state)) or other_types(state, own):
        raise UserError("\n".join([f"{path} holds the weights of another model than the config.yaml of the run describes", *wrong]))
