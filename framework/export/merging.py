"""A run whose adapter is computed into its weights: what is exported is a plain model."""

from dataclasses import replace
from typing import Any

from framework.runs.build import build_task, merged
from framework.runs.checkpoint import fill
from framework.runs.predictor import Predictor


def without_adapter(loaded: Predictor) -> Predictor:
    """The same run, equal in what it computes, with a model that has no adapter."""
    node: dict[str, Any] = loaded.config["model"]
    if (node.get("adapter") or {}).get("part", "adapter/none") == "adapter/none":
        return loaded
    config = {**loaded.config, "model": {**node, "adapter": {"part": "adapter/none"}}}
    task = build_task(config, loaded.spec, loaded.format)
    fill(task, merged(loaded.task.state_dict(), node), loaded.path)
    return replace(loaded, task=task.eval(), config=config)
