"""Models as they are exported: an adapter alone, or merged into the weights; without modules that only training uses."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from framework.models.base import Model
from framework.pretrained.adapter_file import save_adapter
from framework.runs.build import build_task, merged
from framework.runs.checkpoint import fill
from framework.runs.predictor import Predictor
from framework.tasks.capabilities import Calibrated

LIBRARY = "plugformer"


def write(loaded: Predictor, folder: Path) -> list[str]:
    """Writes adapter.safetensors, for another run to start from. UserError: the run has no adapter."""
    save_adapter(loaded.task, loaded.config, loaded.spec, folder / "adapter.safetensors")
    return ["# python train.py ... model/adapter=NAME model.adapter.weights=FOLDER/adapter.safetensors"]


def merge_adapter(loaded: Predictor) -> Predictor:
    """The run with its adapter merged into a plain model that computes the same."""
    node: dict[str, Any] = loaded.config["model"]
    if (node.get("adapter") or {}).get("part", "adapter/none") == "adapter/none":
        return loaded
    config = {**loaded.config, "model": {**node, "adapter": {"part": "adapter/none"}}}
    task = build_task(config, loaded.spec, loaded.format)
    fill(task, merged(loaded.task.state_dict(), node), loaded.path)
    if isinstance(task, Calibrated) and isinstance(loaded.task, Calibrated):
        task.temperature = loaded.task.temperature
    return replace(loaded, task=task.eval(), config=config)


def without_training_parts(loaded: Predictor) -> Predictor:
    """The run without the modules of its model that only training uses."""
    options = loaded.model.drop_training_parts() if isinstance(loaded.model, Model) else {}
    return replace(loaded, config={**loaded.config, "model": {**loaded.config["model"], **options}}) if options else loaded
