"""The teacher of knowledge distillation: `task.teacher=RUN_OR_DIR`. Only training needs it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.pretrained.frozen import FrozenModel
from framework.registry import build
from framework.weights.shapes import few

if TYPE_CHECKING:
    from framework.training.distillation import Distillation

OPTION = "task.teacher"


def check_teacher(teacher: FrozenModel, config: Mapping[str, Any]) -> None:
    """Compares what the configs of teacher and student say. UserError: another task or format, another width."""
    for other, own in zip(_batches(teacher.config), _batches(config), strict=True):
        if other != own:
            raise UserError(f"{teacher} is of {other}, and this run of {own}: teacher and student need the same batches")
    widths = [model["dim"] for model in (teacher.config["model"], config["model"]) if "dim" in model]
    if config["task"]["distillation"].get("hidden") and len(set(widths)) == 2:
        from framework.training.distillation import widths_differ

        raise UserError(f"{teacher}: {widths_differ(*widths)}")


def distillation(frozen: Sequence[FrozenModel], config: Mapping[str, Any], spec: DataSpec) -> "Distillation | None":
    """The distillation loss of a run with this data spec; None without a teacher. UserError: other labels, or another vocabulary."""
    teacher = next((model for model in frozen if model.option == OPTION), None)
    if teacher is None:
        return None
    if teacher.labels not in (None, spec.labels):
        there, here = (few([repr(label) for label in labels], most=8) or "none" for labels in (teacher.source.spec.labels, spec.labels))
        raise UserError(f"{teacher} has other labels than these rows: {there} there, {here} here")
    return build(config["task"]["distillation"], teacher=teacher.task(spec))


def teacher_lines(config: Mapping[str, Any]) -> list[str]:
    """The teacher and the options of the distillation, for the user."""
    name, options = config["task"].get("teacher"), config["task"].get("distillation") or {}
    return [f"teacher {name}: {', '.join(f'{key} {value}' for key, value in options.items() if key != 'part')}"] if name else []


def _batches(config: Mapping[str, Any]) -> tuple[str, str]:
    """The task and the format, which decide what a batch holds."""
    return config["task"]["part"], config["task"]["format"]["part"]
