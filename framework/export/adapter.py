"""What was trained of a run, and nothing else: for another run to begin with."""

from pathlib import Path

from framework.pretrained.adapter_file import save_adapter
from framework.runs.predictor import Predictor

LIBRARY = "plugformer"


def write(loaded: Predictor, folder: Path) -> list[str]:
    """Writes adapter.safetensors. UserError: the run has no adapter."""
    save_adapter(loaded.task, loaded.config, loaded.spec, folder / "adapter.safetensors")
    return ["# python train.py ... model/adapter=NAME model.adapter.weights=FOLDER/adapter.safetensors"]
