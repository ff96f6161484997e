"""The frozen reference of a task: `task.reference=RUN_OR_DIR`, a run of this or another task. Training and evaluation use it."""

from collections.abc import Mapping
from typing import Any

from framework.pretrained.frozen import open_frozen
from framework.pretrained.source import Sources
from framework.tasks.base import Task
from framework.tasks.capabilities import WithReference
from framework.tasks.frozen import FrozenTask

OPTION = "task.reference"


def attach_reference(task: Task, config: Mapping[str, Any]) -> None:
    """Gives a task the reference that its config names, if it names one; it is loaded when the task first uses it. UserError, then: there
    is no such run, or it has another vocabulary."""

    def load() -> Task:
        (reference,) = open_frozen(config, Sources(), (OPTION,))
        return reference.task(task.spec)

    if isinstance(task, WithReference) and config["task"].get("reference"):
        task.frozen = FrozenTask(load)
