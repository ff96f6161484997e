"""Measuring a trained run, and predicting with it."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from framework.data.formats import Format, Row
from framework.data.sources.base import SPLITS
from framework.data.sources.files import FilesData
from framework.errors import UserError
from framework.runs.folder import Run
from framework.runs.predictor import Predictor, moved
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
    if words["text"]:
        for answer in predictor.predict(words["text"]):
            plain = answer.keys() == {"prediction"} and isinstance(answer["prediction"], str)
            print(answer["prediction"] if plain else json.dumps(answer, ensure_ascii=False))
        return
    answers = _answers(predictor, words["file"][-1], overrides)
    lines = "".join(f"{json.dumps(answer, ensure_ascii=False)}\n" for answer in answers)
    if words["to"]:
        write_text(Path(words["to"][-1]), lines)
        print(f"{len(answers):,} predictions in {words['to'][-1]}")
    else:
        print(lines, end="")


def _answers(predictor: Predictor, file: str, overrides: Sequence[str]) -> list[dict[str, Any]]:
    """An answer for each row of a file. Where nothing can be predicted, `prediction` is null and `reason` says why."""
    rows, places = [], []
    for row, where in rows_of(file, predictor.config, predictor.format, overrides):
        rows.append(row)
        places.append(where)
    answers = predictor.predict(rows, places)
    if without := sum("reason" in answer for answer in answers):
        print(f"{without:,} of {len(answers):,} rows have no prediction; the reason stands in their answers", file=sys.stderr)
    return answers


def rows_of(file: str, config: Mapping[str, Any], format: Format, overrides: Sequence[str] = ()) -> Iterator[tuple[str | Row, str]]:
    """The rows of a file with their places, read with the options of the run's own files; columns that only training needs may be absent.

    The kind of the run's files (data.kind) is that of files with the same ending, or of all if an override names it.
    """
    node = config["data"] if config["data"]["part"] == "data/files" else {}
    options = {name: node[name] for name in FilesData.reading if name in node}
    if not any(word.lstrip("+").startswith("data.kind=") for word in overrides) and _ending(file) not in _own_endings(node):
        options["kind"] = "auto"
    return FilesData.to_predict(format, file, **options).typed_or_rows()


def _own_endings(node: Mapping[str, Any]) -> set[str]:
    """The endings of the files of a config node of data."""
    given = [value.get("path") if isinstance(value, Mapping) else value for value in map(node.get, SPLITS)]
    return {_ending(name) for value in given for name in ([value] if isinstance(value, str) else value or ())}


def _ending(name: str) -> str:
    return Path(name.lower().removesuffix(".gz")).suffix
