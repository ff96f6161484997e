"""Measuring a trained run, and predicting with it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from framework.data.formats import Format, Row
from framework.data.sources.files import FilesData
from framework.errors import UserError
from framework.runs.folder import Run
from framework.runs.predictor import moved
from framework.training.evaluation import Evaluation
from framework.utils.files import write_text
from framework.workflows.interactive import load
from framework.workflows.measuring import measured_data
from framework.workflows.train import quiet


def evaluate(folder: Path, overrides: Sequence[str]) -> dict[str, float]:
    """Metrics of the best checkpoint of a run on its own validation and test rows, or on the rows that the overrides name
    (`measured_data`)."""
    quiet()
    run = Run.open(folder)
    predictor = load(run, overrides)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    task = predictor.task.to(device).eval()
    metrics: dict[str, float] = {}
    for split, prepared in measured_data(run, predictor.config, overrides):
        evaluation = Evaluation(task, predictor.generator(split, prepared.count(split)), device, keep=False)
        with torch.no_grad():
            for batch in prepared.loader(split, shuffle=False):
                evaluation.update(moved(batch, device))
        metrics |= {f"{split}/{name}": value for name, value in evaluation.compute().items()}
    return metrics


def predict(folder: Path, arguments: Sequence[str]) -> None:
    """Prints the prediction for `text=...`, or one JSON line for each row of `file=...`, which `to=...` writes to a file instead."""
    quiet()
    words = {key: [word.partition("=")[2] for word in arguments if word.startswith(f"{key}=")] for key in ("text", "file", "to")}
    overrides = [word for word in arguments if word.partition("=")[0] not in words]
    run = Run.open(folder)
    if bool(words["text"]) == bool(words["file"]):
        raise UserError('predict takes text="..." or file=FILE (and to=FILE, and options such as task.decoding.max_new_tokens=50)')
    predictor = load(run, overrides)
    answers = predictor.predict(words["text"] or rows_of(words["file"][-1], predictor.config, predictor.format))
    if words["text"]:
        for answer in answers:
            plain = isinstance(answer["prediction"], str) and not {"scores", "others"} & answer.keys()
            print(answer["prediction"] if plain else json.dumps(answer, ensure_ascii=False))
        return
    lines = "".join(f"{json.dumps(answer, ensure_ascii=False)}\n" for answer in answers)
    if words["to"]:
        write_text(Path(words["to"][-1]), lines)
        print(f"{len(answers):,} predictions in {words['to'][-1]}")
    else:
        print(lines, end="")


def rows_of(file: str, config: Mapping[str, Any], format: Format) -> Iterator[Row]:
    """The rows of a file, read with the options of the run's own files; columns that only training needs may be absent."""
    node = config["data"] if config["data"]["part"] == "data/files" else {}
    source = FilesData.to_predict(format, file, **{name: node[name] for name in FilesData.reading if name in node})
    source.check()
    for row, _ in source.rows("test"):
        yield row
