"""Export for this framework: weights, config, tokenizer and data spec of a run, without the state of training."""

from pathlib import Path

import torch

from framework.errors import UserError
from framework.registry import nearest
from framework.runs.folder import Run
from framework.runs.predictor import Predictor
from framework.tasks.capabilities import Calibrated
from framework.weights.safetensors_files import save_state

LIBRARY = "plugformer"
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def write(loaded: Predictor, folder: Path, dtype: str = "float32") -> list[str]:
    """Writes model.safetensors, config.yaml, run.json, tokenizer.json and data_spec.json; returns the lines of Python that load them.

    dtype: of the weights: float32, bfloat16 or float16. UserError: another one.
    """
    if dtype not in TYPES:
        raise UserError(f"dtype={dtype} is not supported{nearest(dtype, TYPES)}; supported: {', '.join(TYPES)}")
    run = Run(folder)
    save_state(loaded.task.state_dict(), run.exported, TYPES[dtype])
    run.save_config(loaded.config)
    run.save_origin(loaded.config)
    if isinstance(loaded.task, Calibrated) and loaded.task.temperature != 1:
        run.save_temperature(loaded.task.temperature)
    loaded.tokenizer.save(run.tokenizer)
    loaded.spec.save(run.spec)
    return [
        "import framework",
        'predictor = framework.load("FOLDER")',
        "",
        'predictor.predict(["..."])  # predictor.task is a torch.nn.Module in evaluation mode',
    ]
