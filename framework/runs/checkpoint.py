"""From a run's folder to a task ready to predict: no rows needed, and nothing in a file is ever executed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from framework.data.formats import Format
from framework.data.spec import DataSpec
from framework.data.tokenization.trainers import Tokenizer
from framework.errors import UserError
from framework.registry import build
from framework.runs.build import make_task
from framework.runs.folder import Run
from framework.tasks.base import Task
from framework.weights.shapes import mismatches, shapes
from framework.weights.torch_files import read_checkpoint

_PREFIX = "task."  # what the learner calls the task


@dataclass(frozen=True)
class Loaded:
    """A trained task, in evaluation mode, and what it takes to feed it."""

    task: Task
    format: Format
    tokenizer: Tokenizer
    spec: DataSpec
    config: dict[str, Any]
    path: Path  # of the checkpoint


def load(folder: Path | str, config: dict[str, Any] | None = None) -> Loaded:
    """The best checkpoint of a run (the last one, if none was measured). With averaging on it holds the average.

    config: the run's own with options changed that no weight depends on; None = the run's own.
    UserError: no run, no checkpoint yet, or a checkpoint that is truncated, foreign, hostile or of another model.
    """
    run = Run.open(Path(folder))
    path = next((path for path in (run.best, run.last) if path.exists()), None)
    if path is None:
        raise UserError(f"{folder} has no checkpoint yet: {run.checkpoints} is empty. It can be started again with resume={folder}")
    for needed in (run.tokenizer, run.spec):
        if not needed.exists():
            raise UserError(f"{folder} is not complete: {needed.name} is missing")
    config, spec = run.config() if config is None else config, DataSpec.load(run.spec)
    format = build(config["task"]["format"])
    task = make_task(config, spec, format)
    fill(task, weights(path), path)
    return Loaded(task.eval(), format, Tokenizer.load(run.tokenizer), spec, config, path)


def weights(path: Path) -> dict[str, Tensor]:
    """The task's weights in a checkpoint (the average, where one was kept). UserError: the file is broken, foreign or hostile."""
    state = read_checkpoint(path)["state_dict"]
    return {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}


def fill(task: Task, state: dict[str, Tensor], path: Path) -> None:
    """Puts weights into a task. UserError: names or shapes differ; each kind of difference is named once."""
    if wrong := mismatches(shapes(task.state_dict()), shapes(state)):
        raise UserError("\n".join([f"{path} holds the weights of another model than the run's config.yaml tells of", *wrong]))
    task.load_state_dict(state)
