"""Measuring a trained run, and predicting with it."""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from framework.errors import UserError
from framework.runs.folder import Run
from framework.runs.life import standing
from framework.runs.predictor import BATCH_ROWS, WINDOW, Predictor, device_of, moved
from framework.training.evaluation import Evaluation
from framework.workflows.answers import STDIN, rows_of, writing
from framework.workflows.interactive import load
from framework.workflows.measuring import measured_data
from framework.workflows.train import quiet


def evaluate(folder: Path, arguments: Sequence[str]) -> dict[str, float]:
    """Metrics of the best checkpoint of a run on its own validation and test rows, or on the rows that overrides name (`measured_data`).
    `device=NAME` is where it runs; auto, a GPU if there is one. UserError: see `load` and `measured_data`."""
    quiet()
    words, overrides = _own_words(arguments, "device")
    run = Run.open(folder)
    predictor = _loaded(run, overrides, words["device"])
    task, device = predictor.task.eval(), next(predictor.task.parameters()).device
    metrics: dict[str, float] = {}
    for split, prepared in measured_data(run, predictor.config, overrides):
        evaluation = Evaluation(task, predictor.generator(split, prepared.count(split)), device, keep=False)
        with torch.no_grad():
            for batch in prepared.loader(split, shuffle=False):
                evaluation.update(moved(batch, device))
        metrics |= {f"{split}/{name}": value for name, value in evaluation.compute().items()}
    return metrics


def predict(folder: Path, arguments: Sequence[str]) -> None:
    """Prints the prediction for `text=...`, or one JSON line for each row of `file=...`, which `to=...` writes to a file instead.

    UserError: what is asked for cannot be understood or done; an existing file would be lost.
    """
    quiet()
    words, overrides = _own_words(arguments, "text", "file", "kind", "to", "device", "overwrite")
    run = Run.open(folder)
    if bool(words["text"]) == bool(words["file"]):
        raise UserError('predict takes text="..." or file=FILE (and to=FILE, and options such as task.decoding.max_new_tokens=50)')
    file, kind, to, overwrite = (words[name][-1] if words[name] else None for name in ("file", "kind", "to", "overwrite"))
    if to is not None and (not to or not file):
        raise UserError(f"to={to} is a file for the answers to file=FILE")
    if overwrite not in (None, "true", "false"):
        raise UserError(f"overwrite={overwrite}: it is true or false")
    with writing(to, overwrite == "true", file) as write:
        predictor = _loaded(run, overrides, words["device"])
        if not file:
            for answer in predictor.predict(words["text"]):
                plain = answer.keys() == {"prediction"} and isinstance(answer["prediction"], str)
                print(answer["prediction"]) if plain else write(answer)
            return
        without = 0
        rows = rows_of(file, predictor.config, predictor.format, overrides, kind)
        for number, answer in enumerate(predictor.stream(rows, BATCH_ROWS if file == STDIN else WINDOW)):
            write({"row": number, **answer})
            without += "reason" in answer
    if without:
        print(f"{without:,} of {number + 1:,} rows have no prediction; the reason stands in their answers", file=sys.stderr)


def _loaded(run: Run, overrides: Sequence[str], device: Sequence[str]) -> Predictor:
    """The best weights of a run on a device; says so if the run has not finished. UserError: see `load`; there is no such device."""
    where = device_of(device[-1] if device else "auto")
    predictor = load(run, overrides)
    if (how := standing(run)) and run.notes().get("state") != "finished":
        print(f"{run.folder} {how}; its best weights until then are used", file=sys.stderr)
    predictor.task.to(where)
    return predictor


def _own_words(arguments: Sequence[str], *names: str) -> tuple[dict[str, list[str]], list[str]]:
    """The values of the command's own words, and the overrides."""
    words = {name: [word.partition("=")[2] for word in arguments if word.startswith(f"{name}=")] for name in names}
    return words, [word for word in arguments if word.partition("=")[0] not in words]
