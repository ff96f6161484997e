"""Checks of a new run before data is encoded and before it has a folder."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from framework.config import catalogue as index
from framework.config.compose import Composed, compose
from framework.pretrained import teacher, transfer
from framework.pretrained.source import implied
from framework.registry import build


def composed_run(overrides: list[str], folders: Iterable[Path] = ()) -> Composed:
    """The explicit config of a command line, with the options of the pretrained model that it names.

    UserError: everything that is wrong with it.
    """
    return compose(overrides, folders, implied(overrides))


def ready(composed: Composed) -> Composed:
    """A new run, with the tokenizer of what it begins or learns from, if it does; checked as far as can be seen before data is encoded."""
    config = transfer.with_tokenizer(composed.config, composed.overrides)
    config = teacher.with_tokenizer(config, composed.overrides)
    check_data(config)
    teacher.check(config)
    transfer.check(config, composed.overrides)
    check_weights(config)
    return replace(composed, config=config)


def check_data(config: Mapping[str, Any]) -> None:
    """Mistakes in the data that its first rows show, found before torch is imported."""
    from framework.data.sources.early import check_early

    declared = index.load().option(config["task"]["format"]["part"])["declarations"]
    check_early(config["data"], declared.get("columns", ()), declared.get("optional", ()), config["seed"])


def check_weights(config: Mapping[str, Any]) -> None:
    """What is adapted and frozen, before there is any data. UserError: a pattern matches nothing, an adapter's file does not fit."""
    node = config["model"]
    adapter = node.get("adapter") or {}
    if not node.get("freeze") and adapter.get("part", "adapter/none") == "adapter/none":
        return
    import torch

    from framework.pretrained.adapter_file import check_adapter, read_adapter
    from framework.runs.build import attach_adapter, make_on_meta, stand_in
    from framework.runs.freezing import trained
    from framework.utils.patterns import matched, unmatched
    from framework.weights.shapes import shapes

    file = read_adapter(adapter["weights"]) if adapter.get("weights") else None
    with torch.device("meta"):
        model = build(node, spec=stand_in(config, file.vocab_size if file else None))
    attach_adapter(node, model)
    if file:
        check_adapter(file, config, {f"model.{name}": shape for name, shape in shapes(trained(model)).items()})
    patterns, learned = node.get("freeze"), list(trained(model))
    if unmatched(patterns, [name for name, _ in model.named_parameters()]) or len(matched(patterns, learned)) == len(learned):
        make_on_meta(config)  # they may name what the task adds, or leave that alone to train
