"""The pictures of a run's folder."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from framework.comparing.rows import split_of
from framework.comparing.variants import Finished, flat
from framework.errors import UserError
from framework.explaining.explanation import Explanation, explained
from framework.reporting.attention import attention_pictures, moves_picture
from framework.reporting.bars import run_bars
from framework.reporting.confusion import confusion_picture, read_confusion
from framework.reporting.curves import FILE, read_curves, run_curves
from framework.reporting.drawing import MISSING, Picture, available
from framework.reporting.neighbours import embedding_table, frequent_tokens, neighbours, neighbours_picture
from framework.runs.folder import Run
from framework.runs.predictor import Predictor
from framework.utils.phases import phase

FEWEST, MOST = 4, 24  # tokens of the text whose attention is shown
_READ = 200  # rows that it is looked for in


@dataclass
class Shown:
    """A run as far as its folder tells. finished: None where it has no figures. remarks: what cannot be shown, and why."""

    run: Run
    config: dict[str, Any]
    notes: dict[str, Any]
    finished: Finished | None
    remarks: list[str] = field(default_factory=list)
    predictor: Predictor | None = None
    explanation: Explanation | None = None

    @classmethod
    def of(cls, folder: Path) -> "Shown":
        """UserError: the folder is no run, or its config, notes or metrics are damaged."""
        run = Run.open(folder)
        config, notes, metrics = run.saved_config(), run.notes(), run.results()
        finished = Finished(run, config, notes, metrics, flat(config, notes["chosen"])) if metrics else None
        return cls(run, config, notes, finished)

    @property
    def monitor(self) -> str:
        return str(self.notes.get("monitor", "validation/loss"))

    @property
    def split(self) -> str:
        """The split whose rows were predicted."""
        return "validation" if self.finished is None else split_of(self.finished)

    def load(self) -> None:
        """Opens the best weights and explains a text of the predicted rows; a remark where that cannot be."""
        if self.predictor is not None:
            return
        try:
            self.predictor = Predictor.load(self.run)
            text = example_text(self.run.predictions, self.predictor)
            if text is None:
                self.remarks.append("no attention is shown: no row of predictions.jsonl has an input")
            else:
                self.explanation = explained(self.predictor, text)
                if self.explanation.recording.without:
                    parts = ", ".join(self.explanation.recording.without)
                    self.remarks.append(f"{parts} has no attention weights to show")
        except UserError as error:
            what = "neither attention nor embeddings are shown" if self.predictor is None else "no attention is shown"
            self.remarks.append(f"{what}: {error}")


def example_text(predictions: Path, predictor: Predictor) -> str | None:
    """The first input of the predicted rows that is of a length to be drawn, or else the shortest; None where no row has an input."""
    texts = []
    for number, text in enumerate(_inputs(predictions)):
        count = len(predictor.tokenizer.encode(text))
        if FEWEST <= count <= MOST:
            return text
        texts.append((count, text))
        if number == _READ:
            break
    return min(texts, default=(0, None))[1]


def _inputs(predictions: Path) -> Iterator[str]:
    if predictions.is_file():
        with open(predictions, encoding="utf-8") as file:
            for line in file:
                try:
                    row = json.loads(line)
                except ValueError:
                    return
                if isinstance(row, dict) and isinstance(row.get("input"), str) and row["input"].strip():
                    yield row["input"]


def pictures_of(shown: Shown) -> Iterator[Picture]:
    """The pictures of a run, as far as its folder has what they show; what is left out, and why, is added to its remarks."""
    if not available():
        shown.remarks.append(MISSING)
        return
    folder = shown.run.folder
    try:
        curves = read_curves(folder)
        if found := run_curves(curves, shown.monitor):
            yield found
        else:
            shown.remarks.append(f"no learning curves: there is no {FILE} with figures (logger=csv or logger=both writes it)")
    except UserError as error:
        shown.remarks.append(f"no learning curves: {error}")
    if shown.finished is not None and (found := run_bars(shown.finished.metrics, shown.split)):
        yield found
    try:
        if (matrix := read_confusion(folder)) is not None:
            yield confusion_picture(matrix)
    except UserError as error:
        shown.remarks.append(f"no confusion matrix: {error}")
    with phase("loading the weights for attention and embeddings"):
        shown.load()
    if shown.explanation is not None:
        yield from attention_pictures(shown.explanation)
        if moves := moves_picture(shown.explanation):
            yield moves
    if shown.predictor is not None and (table := embedding_table(shown.predictor.model)) is not None:
        ids = frequent_tokens(shown.predictor.tokenizer, _inputs(shown.run.predictions))
        if found := neighbours_picture(neighbours(table, shown.predictor.tokenizer, ids)):
            yield found


def run_pictures(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Name and PNG of each picture of a run's folder, for trackers; none without matplotlib. UserError: the folder is no run."""
    for each in pictures_of(Shown.of(folder)):
        yield each.name, each.png
