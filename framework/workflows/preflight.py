"""Checks of a run before its data is encoded and before it has a folder."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from framework.config import catalogue as index
from framework.pretrained.frozen import FrozenModel, check_length
from framework.pretrained.source import PretrainedSource
from framework.pretrained.teacher import OPTION as TEACHER
from framework.pretrained.teacher import check_teacher
from framework.pretrained.transfer import check_pretrained
from framework.registry import build
from framework.utils.library_warnings import silence_warnings
from framework.utils.phases import phase
from framework.utils.ranks import ranks
from framework.workflows.devices import count_processes, planned_processes


def preflight(
    config: Mapping[str, Any], overrides: Sequence[str], pretrained: PretrainedSource | None, frozen: Sequence[FrozenModel], resumes: bool
) -> None:
    """UserError: the first mistake. The checks that need no torch come first. resumes: the run has a checkpoint, whose weights are checked
    when they are loaded."""
    check_trainer(config)
    if not resumes:  # a run that goes on has its tokenizer
        build(config["tokenizer"]).check()
    check_data(config)
    for model in frozen:
        check_length(model, config)
        if model.option == TEACHER:
            check_teacher(model, config)
    if pretrained is not None:
        check_pretrained(pretrained, config, overrides)
    if not resumes:
        check_trained_parameters(config)
    check_options(config)
    check_loggers(config)


def check_loggers(config: Mapping[str, Any]) -> None:
    """UserError: a tracker cannot record: nobody is logged in, or its package is missing."""
    from framework.tracking.base import check_trackers

    check_trackers(config["logger"], name=config["name"], named=True, config=config, chosen={})


def check_options(config: Mapping[str, Any], planned: bool = False, short: bool = True) -> None:
    """UserError: as `check_trainer`, or a value that torch, Lightning or a part refuses. planned: the run is of other machines, which may
    have more processes, and memory for a bigger model. short: whether the run may end within its warm-up."""
    check_trainer(config, planned)
    if planned:
        config = {**config, "trainer": {**config["trainer"], "devices": 1, "num_nodes": 1}}
    with phase("loading PyTorch and Lightning"):
        from framework.workflows.trial import try_options
    silence_warnings()
    try_options(config, planned, short)


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


def check_trainer(config: Mapping[str, Any], planned: bool = False) -> None:
    """UserError: more processes than this machine can run, or no limit for a schedule that needs a number of steps. Without torch, but
    where GPUs must be counted. planned: on other machines."""
    if planned:
        planned_processes(config["trainer"])
    else:
        count_processes(config["trainer"], ranks())
    if config["trainer"].get("max_epochs") == config["trainer"].get("max_steps") == -1:
        build(config["schedule"], total=math.inf)
