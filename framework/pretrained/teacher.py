"""Who a run learns from beside its rows: `task.teacher=RUN_OR_DIR`.

The teacher is read from its folder whenever training begins or goes on; no checkpoint of the pupil holds it, and nothing but training
asks for it. `teacher_of` is the one place that knows what can be a teacher.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from framework.config import catalogue as index
from framework.config.constraints import default_node
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.pretrained.source import PretrainedSource, PublishedSource, source
from framework.registry import build

if TYPE_CHECKING:
    from framework.tasks.base import Task
    from framework.training.distillation import Distillation

OPTION = "task.teacher"


@dataclass(frozen=True)
class Teacher:
    """Something trained that can teach. name: as somebody typed it. config: its task and its model; a published model is asked as the
    pupil is. labels: null where its head alone can say."""

    name: str
    config: dict[str, Any]
    found: PretrainedSource
    labels: tuple[str, ...] | None

    def task(self, spec: DataSpec) -> "Task":
        """The whole task with its weights, in evaluation mode. spec: the pupil's. UserError: some weights are not there."""
        if not isinstance(self.found, PublishedSource):
            from framework.runs.checkpoint import load

            return load(self.name).task
        from framework.pretrained.transfer import take
        from framework.runs.build import make_task

        task = make_task(self.config, replace(spec, vocab_size=self.found.spec.vocab_size, max_length=self.found.spec.max_length))
        match = take(task, self.config, task.spec)
        if match is None or match.new:
            new = ", ".join(match.new[:3]) if match else "anything"
            raise UserError(f"{OPTION}={self.name} has no weights for {new}: it was published for another task, or for other labels")
        return task.eval()


def teacher_of(name: str, config: Mapping[str, Any]) -> Teacher:
    """The teacher of that name for a run of this config: a run's folder, or a published model. UserError: it is none, or not complete."""
    try:
        found = source(name, OPTION)
    except UserError as error:
        hint = f"Training needs its teacher, also when it is resumed: {OPTION}=PATH says where it is now."
        said = str(error) if str(error).startswith(OPTION) else f"{OPTION}: {error}"
        raise UserError(f"{said}\n{hint}") from None
    if not isinstance(found, PublishedSource):
        return Teacher(name, found.config, found, found.spec.labels)
    model = {**default_node(str(found.model["part"]), index.load()), **found.model, "pretrained": name}
    task = {**config["task"], "teacher": None}
    return Teacher(name, {**config, "model": model, "task": task}, found, None)


def with_tokenizer(config: Mapping[str, Any], typed: Sequence[str]) -> dict[str, Any]:
    """The config with the teacher's tokenizer, whatever a task or an experiment brings along. UserError: there is no such teacher,
    somebody typed another tokenizer, or the run begins from something that has another."""
    name = config["task"].get("teacher")
    if not name:
        return dict(config)
    teacher = teacher_of(name, config)
    node = {**default_node("tokenizer/pretrained", index.load()), **teacher.found.tokenizer}
    if begins_from := config["model"].get("pretrained"):
        one, other = (build(tokenizer).train(tuple).to_json() for tokenizer in (config["tokenizer"], node))
        if one != other:
            raise UserError(
                f"model.pretrained={begins_from} and {OPTION}={name} have different tokenizers: the ids of one mean nothing to the other"
            )
        return dict(config)
    for word in typed:
        if re.match(r"\+*tokenizer[=./@]", word):
            raise UserError(f"{word}: with {OPTION} the tokenizer is that of {name}, who reads the same ids; leave it out")
    return {**config, "tokenizer": node}


def check(config: Mapping[str, Any]) -> None:
    """UserError: what is wrong with the teacher, as far as the two configs say it."""
    name = config["task"].get("teacher")
    if not name:
        return
    teacher = teacher_of(name, config)
    for there, here in zip(_batches(teacher.config), _batches(config), strict=True):
        if there != here:
            raise UserError(f"{OPTION}={name} is of {there}, and this run of {here}: teacher and pupil read the same batches")
    reads, read = teacher.found.spec.max_length, config["model"]["max_length"]
    if reads < read:
        raise UserError(f"{OPTION}={name} reads {reads} tokens at once, and this model {read}; model.max_length={reads} suits both")
    widths = [model["dim"] for model in (teacher.config["model"], config["model"]) if "dim" in model]
    if config["task"]["distillation"].get("hidden") and len(set(widths)) == 2:
        from framework.training.distillation import widths_differ

        raise UserError(f"{OPTION}={name}: {widths_differ(*widths)}")


def distillation(config: Mapping[str, Any], spec: DataSpec) -> "Distillation | None":
    """How a run with this data spec learns from its teacher; None: it has none. UserError: they do not tell the same things apart."""
    name = config["task"].get("teacher")
    if not name:
        return None
    teacher = teacher_of(name, config)
    if teacher.labels not in (None, spec.labels):
        there, here = _listed(teacher.found.spec.labels), _listed(spec.labels)
        raise UserError(f"{OPTION}={name} knows other labels than these rows: {there} there, {here} here")
    vocab_size = teacher.found.spec.vocab_size
    if vocab_size != spec.vocab_size:
        raise UserError(f"{OPTION}={name} has a vocabulary of {vocab_size:,} tokens, and this run one of {spec.vocab_size:,}")
    return build(config["task"]["distillation"], teacher=teacher.task(spec))


def lines(config: Mapping[str, Any]) -> list[str]:
    """Who teaches and how, for the reader."""
    name = config["task"].get("teacher")
    options = config["task"].get("distillation") or {}
    return [f"learns from {name}: {', '.join(f'{key} {value}' for key, value in options.items() if key != 'part')}"] if name else []


def _batches(config: Mapping[str, Any]) -> tuple[str, str]:
    """The task and the format, which decide what is in a batch."""
    return config["task"]["part"], config["task"]["format"]["part"]


def _listed(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(map(repr, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "") or "none"
