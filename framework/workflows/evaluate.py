"""The command `evaluate`."""

from collections.abc import Sequence
from pathlib import Path

import torch

from framework.runs.folder import Run
from framework.runs.predictor import moved
from framework.training.evaluation import Evaluation
from framework.utils.library_warnings import silence_warnings
from framework.utils.phases import phase
from framework.workflows.measuring import measured_data
from framework.workflows.trained import opened, own_words


def evaluate(folder: Path, arguments: Sequence[str]) -> dict[str, float]:
    """Metrics of the best checkpoint of a run on its own validation and test rows, or on the rows that overrides name (`measured_data`).
    `device=NAME` is where it runs; auto, a GPU if there is one. UserError: see `load` and `measured_data`."""
    silence_warnings()
    words, overrides = own_words(arguments, "device")
    run = Run.open(folder)
    predictor = opened(run, overrides, words["device"])
    task, device = predictor.task.eval(), next(predictor.task.parameters()).device
    metrics: dict[str, float] = {}
    for split, prepared in measured_data(run, predictor.config, overrides):
        evaluation = Evaluation(task, predictor.generator(split, prepared.count(split)), device, keep=False)
        loader = prepared.loader(split, shuffle=False)
        with torch.no_grad(), phase(f"evaluating {split}", len(loader), "batches") as evaluating:
            for batch in evaluating.counted(loader):
                evaluation.update(moved(batch, device))
        metrics |= {f"{split}/{name}": value for name, value in evaluation.compute().items()}
    return metrics
