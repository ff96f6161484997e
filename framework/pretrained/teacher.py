"""The teacher of knowledge distillation: `task.teacher=RUN_OR_DIR`.

The teacher is loaded from its folder whenever training starts or resumes. Checkpoints of the student do not hold it, and only training
needs it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from framework.config import catalogue as index
from framework.config.constraints import default_node
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.pretrained.source import PretrainedSource, RunSource, Sources
from framework.registry import build
from framework.weights.shapes import few

if TYPE_CHECKING:
    from framework.tasks.base import Task
    from framework.training.distillation import Distillation

OPTION = "task.teacher"


@dataclass(frozen=True)
class Teacher:
    """A trained task that a student learns from. config: its task and model; a published model is used with the student's task options.
    labels: None for a published model, whose head is compared instead."""

    source: PretrainedSource
    config: dict[str, Any]
    labels: tuple[str, ...] | None

    @property
    def name(self) -> str:
        return self.source.name

    def task(self, spec: DataSpec) -> "Task":
        """The whole task with its weights, in evaluation mode. spec: the student's. UserError: weights are missing in the source."""
        from framework.pretrained.transfer import transfer_weights
        from framework.runs.build import build_task
        from framework.runs.checkpoint import load_task

        if isinstance(self.source, RunSource):
            return load_task(self.config, self.source.spec, self.source.checkpoint)
        task = build_task(self.config, replace(spec, vocab_size=self.source.spec.vocab_size, max_length=self.source.spec.max_length))
        if missing := transfer_weights(task, self.source, self.config, task.spec).missing:
            names = ", ".join(missing[:3])
            raise UserError(f"{OPTION}={self.name} has no weights for {names}: it was published for another task, or for other labels")
        return task.eval()


def open_teacher(config: Mapping[str, Any], sources: Sources) -> Teacher | None:
    """The teacher that a config names: a run or a published model; None if it names none. UserError: there is no such folder, or the run
    in it is not complete."""
    name = config["task"].get("teacher")
    if not name:
        return None
    try:
        source = sources.open(name, OPTION)
    except UserError as error:
        hint = f"Training needs its teacher, also when it is resumed: {OPTION}=PATH says where it is now."
        message = str(error) if str(error).startswith(OPTION) else f"{OPTION}: {error}"
        raise UserError(f"{message}\n{hint}") from None
    if isinstance(source, RunSource):
        return Teacher(source, source.config, source.spec.labels)
    model = {**default_node(str(source.model["part"]), index.load()), **source.model, "pretrained": name}
    return Teacher(source, {**config, "model": model, "task": {**config["task"], "teacher": None}}, None)


def check_teacher(teacher: Teacher, config: Mapping[str, Any]) -> None:
    """Compares what the configs of teacher and student say. UserError: another task or format, a shorter maximum length, another width."""
    for other, own in zip(_batches(teacher.config), _batches(config), strict=True):
        if other != own:
            raise UserError(f"{OPTION}={teacher.name} is of {other}, and this run of {own}: teacher and student need the same batches")
    longest, length = teacher.source.spec.max_length, config["model"]["max_length"]
    if longest < length:
        raise UserError(f"{OPTION}={teacher.name} has max_length {longest}, and this model {length}; model.max_length={longest} suits both")
    widths = [model["dim"] for model in (teacher.config["model"], config["model"]) if "dim" in model]
    if config["task"]["distillation"].get("hidden") and len(set(widths)) == 2:
        from framework.training.distillation import widths_differ

        raise UserError(f"{OPTION}={teacher.name}: {widths_differ(*widths)}")


def distillation(teacher: Teacher | None, config: Mapping[str, Any], spec: DataSpec) -> "Distillation | None":
    """The distillation loss of a run with this data spec; None without a teacher. UserError: other labels, or another vocabulary."""
    if teacher is None:
        return None
    if teacher.labels not in (None, spec.labels):
        there, here = (few([repr(label) for label in labels], most=8) or "none" for labels in (teacher.source.spec.labels, spec.labels))
        raise UserError(f"{OPTION}={teacher.name} has other labels than these rows: {there} there, {here} here")
    vocab_size = teacher.source.spec.vocab_size
    if vocab_size != spec.vocab_size:
        raise UserError(f"{OPTION}={teacher.name} has a vocabulary of {vocab_size:,} tokens, and this run one of {spec.vocab_size:,}")
    return build(config["task"]["distillation"], teacher=teacher.task(spec))


def teacher_lines(config: Mapping[str, Any]) -> list[str]:
    """The teacher and the options of the distillation, for the user."""
    name, options = config["task"].get("teacher"), config["task"].get("distillation") or {}
    return [f"teacher {name}: {', '.join(f'{key} {value}' for key, value in options.items() if key != 'part')}"] if name else []


def _batches(config: Mapping[str, Any]) -> tuple[str, str]:
    """The task and the format, which decide what a batch holds."""
    return config["task"]["part"], config["task"]["format"]["part"]
