"""What a trained run is for: measuring it again, and asking it."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import torch

from framework.data.formats import Batch, Features, Row
from framework.data.sources.base import error_context
from framework.data.sources.files import FilesData
from framework.errors import UserError
from framework.runs import checkpoint
from framework.runs.data import prepare_data
from framework.runs.folder import Run
from framework.runs.resume import changed
from framework.training.evaluation import Evaluation
from framework.utils.files import write_text
from framework.workflows.train import decoder, quiet

ROWS = 64  # predicted together


def evaluate(folder: Path, overrides: Sequence[str]) -> dict[str, float]:
    """Figures of a run's best checkpoint on its validation and test parts, or on other data if the overrides say so."""
    quiet()
    run = Run.open(folder)
    config = changed(run, overrides, [], training=False)
    loaded = checkpoint.load(run.folder, config)
    prepared = prepare_data(config, run.folder, splits=("validation", "test"))
    if not prepared.splits:
        raise UserError("there is nothing to evaluate on: the data has no validation and no test part (data.test=FILE)")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    task = loaded.task.to(device).eval()
    figures: dict[str, float] = {}
    for split in prepared.splits:
        decode = decoder(config, loaded.tokenizer, loaded.spec, split, prepared.count(split))
        evaluation = Evaluation(task, decode, device, keep=False)
        with torch.no_grad():
            for batch in prepared.loader(split, shuffle=False):
                evaluation.update(moved(batch, device))
        figures |= {f"{split}/{name}": value for name, value in evaluation.compute().items()}
    return figures


def predict(folder: Path, arguments: Sequence[str]) -> None:
    """Prints the answer to `text=...`, or one JSON line for each row of `file=...` (into `to=...` if given)."""
    quiet()
    run = Run.open(folder)
    words = {key: [text.partition("=")[2] for text in arguments if text.startswith(f"{key}=")] for key in ("text", "file", "to")}
    overrides = [text for text in arguments if text.partition("=")[0] not in words]
    if bool(words["text"]) == bool(words["file"]):
        raise UserError('predict takes text="..." or file=FILE (and to=FILE, and options such as task.decoding.max_new_tokens=50)')
    config = changed(run, overrides, [], training=False)
    loaded = checkpoint.load(run.folder, config)
    with error_context('text="..."'):
        rows = [loaded.format.from_text(text) for text in words["text"]]
    rows = rows or list(rows_of(words["file"][-1], config, loaded.format))
    decode = decoder(config, loaded.tokenizer, loaded.spec, "predict")
    answers = answer(loaded, rows, decode)
    if words["text"]:
        for found in answers:
            plain = isinstance(found["prediction"], str) and not {"scores", "others"} & found.keys()
            print(found["prediction"] if plain else json.dumps(found, ensure_ascii=False))
        return
    lines = "".join(f"{json.dumps(found, ensure_ascii=False)}\n" for found in answers)
    if words["to"]:
        write_text(Path(words["to"][-1]), lines)
        print(f"{len(answers):,} predictions in {words['to'][-1]}")
    else:
        print(lines, end="")


def answer(loaded: checkpoint.Loaded, rows: Sequence[Row], decode: Any) -> list[dict[str, Any]]:
    """Predictions for rows, in their order; rows of like length are computed together."""
    format, spec, task = loaded.format, loaded.spec, loaded.task.eval()
    features: list[Features] = []
    for number, row in enumerate(rows):
        try:
            encoded = format.encode(row, loaded.tokenizer, spec)
        except ValueError as error:
            raise UserError(f"row {number + 1}: {error}") from error
        if encoded is None:
            raise UserError(f"row {number + 1}: there is nothing in it to predict from: {row}")
        features.append(encoded)
    order = sorted(range(len(rows)), key=lambda number: format.length(features[number]))
    found: dict[int, dict[str, Any]] = {}
    with torch.inference_mode():
        for start in range(0, len(order), ROWS):
            numbers = order[start : start + ROWS]
            batch = format.collate([features[number] for number in numbers], spec, Random(0))
            batch |= {"row": torch.tensor(numbers), "raw": [rows[number] for number in numbers]}
            found.update(zip(numbers, task.predict(batch, decode), strict=True))
    return [found[number] for number in range(len(rows))]


def rows_of(file: str, config: dict[str, Any], format: Any) -> Iterator[Row]:
    """The rows of a file, read as the run's own files were; columns that only training needs may be absent."""
    node = config["data"] if config["data"]["part"] == "data/files" else {}
    source = FilesData.to_predict(format, file, **{name: node[name] for name in FilesData.reading if name in node})
    source.check()
    for row, _ in source.rows("test"):
        yield row


def moved(batch: Batch, device: torch.device) -> Batch:
    return {name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in batch.items()}
