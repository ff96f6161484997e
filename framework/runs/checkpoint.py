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
from framework.weights.safetensors_files import load_state
from framework.weights.shapes import mismatches, shapes
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
    """The task of a config with the weights in a file, in evaluation mode. UserError: see `load_weights` and `fill`."""
    task = build_task(config, spec, format)
    fill(task, load_weights(path), path)
    return task.eval()


def fill(task: Task, state: Mapping[str, Tensor], path: Path) -> None:
    """Copies weights into a task. UserError: names or shapes differ; one line for each kind of difference."""
    if wrong := mismatches(shapes(task.state_dict()), shapes(state)):
        raise UserError("\n".join([f"{path} holds the weights of another model than the config.yaml of the run describes", *wrong]))
    task.load_state_dict(dict(state))
