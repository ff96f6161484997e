"""Checks of a run before its data is encoded and before it has a folder."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from framework.config import catalogue as index
from framework.errors import UserError
from framework.pretrained.frozen import FrozenModel, check_length
from framework.pretrained.source import PretrainedSource
from framework.pretrained.teacher import OPTION as TEACHER
from framework.pretrained.teacher import check_teacher
from framework.pretrained.transfer import check_pretrained


def preflight(
    config: Mapping[str, Any], overrides: Sequence[str], pretrained: PretrainedSource | None, frozen: Sequence[FrozenModel], resumes: bool
) -> None:
    """UserError: the first mistake. The checks that need no torch come first. resumes: the run has a checkpoint, whose weights are checked
    when they are loaded."""
    check_data(config)
    for model in frozen:
        check_length(model, config)
        if model.option == TEACHER:
            check_teacher(model, config)
    if pretrained is not None:
        check_pretrained(pretrained, config, overrides)
    if not resumes:
        check_trained_parameters(config)
    check_training(config)
    check_loggers(config)


def check_loggers(config: Mapping[str, Any]) -> None:
    """UserError: a tracker cannot record: nobody is logged in, or its package is missing."""
    from framework.tracking.base import check_trackers

    check_trackers(config["logger"], name=config["name"], named=True, config=config, chosen={})


def check_data(config: Mapping[str, Any]) -> None:
    """UserError: the data is missing, or its first rows are not what the format of the task reads."""
    from framework.data.sources.base import check_early

    declared = index.load().option(config["task"]["format"]["part"])["declarations"]
    check_early(config["data"], declared.get("columns", ()), declared.get("optional", ()), config["seed"])


def check_trained_parameters(config: Mapping[str, Any]) -> None:
    """UserError: a pattern of `model.adapter` or `model.freeze` matches nothing, everything is frozen, or the file of
    `model.adapter.weights` does not fit."""
    node = config["model"]
    adapter = node.get("adapter") or {}
    if not node.get("freeze") and adapter.get("part", "adapter/none") == "adapter/none":
        return
    from framework.pretrained.adapter_file import check_adapter, read_adapter
    from framework.runs.build import build_on_meta
    from framework.runs.freezing import trained
    from framework.weights.shapes import shapes

    file = read_adapter(adapter["weights"]) if adapter.get("weights") else None
    task = build_on_meta(config, file.vocab_size if file else None)
    if file:
        check_adapter(file, config, {f"model.{name}": shape for name, shape in shapes(trained(task.model)).items()})


def check_training(config: Mapping[str, Any]) -> None:
    """UserError: the weights do not fit into memory, or the model, the optimizer, the schedule or the trainer refuses its values. They are
    built as for training, on the meta device; parts of other packages are so checked as ours are."""
    import torch
    from torch import nn

    from framework.registry import as_part, build
    from framework.runs.build import placeholder_spec
    from framework.workflows.train import quiet

    quiet()
    check_processes(config["trainer"])
    with torch.device("meta"), _refusal("model", config["model"]):
        task = nn.ModuleDict({"model": build(config["model"], spec=placeholder_spec(config))})  # a task needs what the data says
    needed, there = sum(parameter.nbytes for parameter in task.parameters()), _memory()
    if there and needed > there:
        raise UserError(
            f"the weights of this model take {needed / 2**30:,.0f} GiB, and this machine has {there / 2**30:,.0f} GiB of memory"
        )
    with _refusal("optimizer", config["optimizer"]):
        as_part(config["optimizer"])(model=task)
    trainer = config["trainer"]
    limit = trainer.get("max_steps", -1)
    endless = limit == -1 and trainer.get("max_epochs") == -1 and trainer.get("max_time") is None
    with _refusal("schedule", config["schedule"]):
        as_part(config["schedule"])(total=math.inf if endless else 1e9 if limit == -1 else limit)
    with _refusal("trainer", trainer):
        build(trainer, callbacks=[], logger=[], plugins=[], default_root_dir=Path())


def check_processes(trainer: Mapping[str, Any]) -> None:
    """UserError: more processes than a machine can run."""
    from framework.workflows.processes import wanted_processes

    count, cores = wanted_processes(trainer), os.cpu_count() or 1
    if count > 32 * cores:
        raise UserError(f"trainer.devices={trainer['devices']} are {count:,} processes on a machine with {cores} cores")


@contextmanager
def _refusal(group: str, node: Mapping[str, Any]) -> Iterator[None]:
    """A UserError of what a constructor refuses: torch, Lightning and parts of other packages raise these for a value."""
    from pytorch_lightning.utilities.exceptions import MisconfigurationException

    try:
        yield
    except UserError:
        raise
    except (ValueError, TypeError, ArithmeticError, LookupError, ImportError, RuntimeError, MisconfigurationException) as error:
        said = " ".join(str(error).split())[:300]
        raise UserError(f"{group}={node['part'].partition('/')[2]} refuses its options: {said or type(error).__name__}") from error


def _memory() -> int:
    """Bytes of memory of this machine; 0 if the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0
