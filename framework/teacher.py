"""Who a run learns from beside its rows: `task.teacher=RUN`.

The teacher is read from its folder whenever training begins or goes on; no checkpoint of the pupil holds it, and nothing but training
asks for it. `teacher_of` is the one place that knows what can be a teacher.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.data.facts import Facts
from framework.errors import UserError
from framework.registry import build
from framework.runs import Run

if TYPE_CHECKING:
    from framework.training.distillation import Distillation
    from framework.training.task import Task

OPTION = "task.teacher"


@dataclass(frozen=True)
class Teacher:
    """Something trained that can teach. name: as somebody typed it. config: its task and its model. tokenizer: the file."""

    name: str
    config: dict[str, Any]
    facts: Facts
    tokenizer: Path

    def task(self) -> "Task":
        """The whole task with its weights, in evaluation mode."""
        from framework.checkpoint import load

        return load(self.name).task


def teacher_of(name: str) -> Teacher:
    """The teacher of that name: a run's folder. UserError: it is none, or not complete."""
    try:
        run = Run.open(Path(name))
    except UserError as error:
        hint = f"Training needs its teacher, also when it is resumed: {OPTION}=PATH says where it is now."
        raise UserError(f"{OPTION}: {error}\n{hint}") from None
    lacking = [path.name for path in (run.tokenizer, run.facts) if not path.exists()]
    lacking += [] if run.best.exists() or run.last.exists() else ["checkpoint"]
    if lacking:
        raise UserError(f"{OPTION}={name}: this run cannot teach yet, it has no {', no '.join(lacking)}")
    return Teacher(name, run.config(), Facts.load(run.facts), run.tokenizer)


def with_tokenizer(config: Mapping[str, Any], typed: Sequence[str]) -> dict[str, Any]:
    """The config with the teacher's tokenizer, whatever a task or an experiment brings along. UserError: there is no such teacher,
    somebody typed another tokenizer, or the run begins from something that has another."""
    name = config["task"].get("teacher")
    if not name:
        return dict(config)
    teacher = teacher_of(name)
    if begins_from := config["model"].get("pretrained"):
        from framework.data.tokenizer import Tokenizer

        other = build(config["tokenizer"]).train(tuple)
        if other.to_json() != Tokenizer.load(teacher.tokenizer).to_json():
            raise UserError(
                f"model.pretrained={begins_from} and {OPTION}={name} have different tokenizers: the ids of one mean nothing to the other"
            )
        return dict(config)
    for word in typed:
        if re.match(r"\+*tokenizer[=./@]", word):
            raise UserError(f"{word}: with {OPTION} the tokenizer is that of {name}, who reads the same ids; leave it out")
    return {**config, "tokenizer": {"part": "tokenizer/pretrained", "file": str(teacher.tokenizer)}}


def check(config: Mapping[str, Any]) -> None:
    """UserError: what is wrong with the teacher, as far as the two configs say it."""
    name = config["task"].get("teacher")
    if not name:
        return
    teacher = teacher_of(name)
    for there, here in zip(_batches(teacher.config), _batches(config), strict=True):
        if there != here:
            raise UserError(f"{OPTION}={name} is of {there}, and this run of {here}: teacher and pupil read the same batches")
    reads, read = teacher.facts.max_length, config["model"]["max_length"]
    if reads < read:
        raise UserError(f"{OPTION}={name} reads {reads} tokens at once, and this model {read}; model.max_length={reads} suits both")
    widths = [model["dim"] for model in (teacher.config["model"], config["model"]) if "dim" in model]
    if config["task"]["distillation"].get("hidden") and len(set(widths)) == 2:
        from framework.training.distillation import widths_differ

        raise UserError(f"{OPTION}={name}: {widths_differ(*widths)}")


def distillation(config: Mapping[str, Any], facts: Facts) -> "Distillation | None":
    """How a run with these facts learns from its teacher; None: it has none. UserError: they do not tell the same things apart."""
    name = config["task"].get("teacher")
    if not name:
        return None
    teacher = teacher_of(name)
    if teacher.facts.labels != facts.labels:
        raise UserError(
            f"{OPTION}={name} knows other labels than these rows: {_listed(teacher.facts.labels)} there, {_listed(facts.labels)} here"
        )
    if teacher.facts.vocabulary != facts.vocabulary:
        raise UserError(
            f"{OPTION}={name} has a vocabulary of {teacher.facts.vocabulary:,} tokens, and this run one of {facts.vocabulary:,}"
        )
    return build(config["task"]["distillation"], teacher=teacher.task())


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
