"""Frozen models of a run: its teacher (`task.teacher=RUN_OR_DIR`) and its reference (`task.reference=RUN_OR_DIR`).

Each is loaded from its folder whenever training starts or resumes. No checkpoint holds it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from framework.config import catalogue as index
from framework.config.constraints import default_node
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.pretrained.source import PretrainedSource, RunSource, Sources

if TYPE_CHECKING:
    from framework.tasks.base import Task

OPTIONS = ("task.teacher", "task.reference")


@dataclass(frozen=True)
class FrozenModel:
    """A trained task that a run uses and does not train. option: the one that names it. config: its task and model; a published model is
    used with the task options of the run. labels: None for a published model, whose head is compared instead."""

    option: str
    source: PretrainedSource
    config: dict[str, Any]
    labels: tuple[str, ...] | None

    def __str__(self) -> str:
        return f"{self.option}={self.source.name}"

    def task(self, spec: DataSpec) -> "Task":
        """The whole task with its weights, in evaluation mode. spec: of the run. UserError: another vocabulary, or missing weights."""
        from framework.pretrained.transfer import transfer_weights
        from framework.runs.build import build_task
        from framework.runs.checkpoint import load_task

        vocab_size = self.source.spec.vocab_size
        if vocab_size != spec.vocab_size:
            raise UserError(f"{self} has a vocabulary of {vocab_size:,} tokens, and this run one of {spec.vocab_size:,}")
        if isinstance(self.source, RunSource):
            return load_task(self.config, self.source.spec, self.source.checkpoint)
        task = build_task(self.config, replace(spec, max_length=self.source.spec.max_length))
        if missing := transfer_weights(task, self.source, self.config, task.spec).missing:
            raise UserError(f"{self} has no weights for {', '.join(missing[:3])}: it was published for another task, or for other labels")
        return task.eval()


def open_frozen(config: Mapping[str, Any], sources: Sources, options: Sequence[str] = OPTIONS) -> list[FrozenModel]:
    """The frozen models that a config names. UserError: there is no such folder, or the run in it is not complete."""
    return [_open(option, config, sources) for option in options if config["task"].get(option.partition(".")[2])]


def _open(option: str, config: Mapping[str, Any], sources: Sources) -> FrozenModel:
    name = config["task"][option.partition(".")[2]]
    try:
        source = sources.open(name, option)
    except UserError as error:
        hint = f"Training needs its {option.partition('.')[2]}, also when it is resumed: {option}=PATH says where it is now."
        message = str(error) if str(error).startswith(option) else f"{option}: {error}"
        raise UserError(f"{message}\n{hint}") from None
    if isinstance(source, RunSource):
        return FrozenModel(option, source, source.config, source.spec.labels)
    model = {**default_node(str(source.model["part"]), index.load()), **source.model, "pretrained": name}
    return FrozenModel(option, source, {**config, "model": model}, None)


def check_length(frozen: FrozenModel, config: Mapping[str, Any]) -> None:
    """UserError: the frozen model reads less than the model of this run."""
    longest, length = frozen.source.spec.max_length, config["model"]["max_length"]
    if longest < length:
        raise UserError(f"{frozen} has max_length {longest}, and this model {length}; model.max_length={longest} suits both")
