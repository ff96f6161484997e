"""A trained run, loaded for prediction."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import nn

from framework.data.encoding_writer import without_marks
from framework.data.formats import Batch, BatchRows, Features, Format, Row
from framework.data.sources.base import error_context
from framework.data.spec import DataSpec
from framework.data.tokenization.layouts import check_ids
from framework.data.tokenization.trainers import Tokenizer
from framework.errors import UserError
from framework.generation.engine import Decode
from framework.registry import build
from framework.runs.checkpoint import load_task
from framework.runs.folder import Run
from framework.runs.life import standing
from framework.tasks.base import Task
from framework.tasks.capabilities import Calibrated
from framework.utils.hub import first_line

BATCH_ROWS = 64
WINDOW = 16 * BATCH_ROWS  # rows of a file that are read before they are answered: enough of like lengths for a batch


@dataclass(frozen=True)
class Predictor:
    """A trained task in evaluation mode, with the text format and tokenizer that make its batches. path: of its weights.

    >>> predictor = load("runs/last")
    >>> predictor.model is predictor.task.model, predictor.tokenizer.decode(predictor.tokenizer.encode("good"))
    (True, 'good')
    >>> answers = predictor.predict(["a good film", {"text": "a dull one"}])
    >>> [answer["prediction"] in predictor.spec.labels for answer in answers]
    [True, True]
    """

    task: Task
    format: Format
    tokenizer: Tokenizer
    spec: DataSpec
    config: dict[str, Any]
    path: Path

    @classmethod
    def load(cls, run: Run | Path | str, config: dict[str, Any] | None = None) -> "Predictor":
        """The best weights of a run (the last ones if none were measured), or those of a folder exported with to=safetensors.

        config: the run's own with other options that no weight depends on; None = the run's own.
        UserError: no run, no weights, or weights that are truncated, foreign, hostile or of another model.
        """
        run = run if isinstance(run, Run) else Run.open(Path(run))
        if run.checkpoint is None:
            how = standing(run)
            raise UserError(f"{run.folder} has no checkpoint{f': it {how}' if how else ''}; resume={run.folder} starts it again")
        for needed in (run.tokenizer, run.spec):
            if not needed.exists():
                raise UserError(f"{run.folder} is not complete: {needed.name} is missing")
        config, spec = run.config() if config is None else config, DataSpec.load(run.spec)
        tokenizer = Tokenizer.load(run.tokenizer)
        check_ids(tokenizer, spec.vocab_size, f"{run.tokenizer} and {run.spec.name}")
        format = build(config["task"]["format"])
        task = load_task(config, spec, run.checkpoint, format)
        if isinstance(task, Calibrated) and config["task"].get("calibrate"):
            task.temperature = run.temperature()
        return cls(task, format, tokenizer, spec, config, run.checkpoint)

    @property
    def model(self) -> nn.Module:
        return self.task.model

    def predict(self, inputs: str | Row | Iterable[str | Row]) -> list[dict[str, Any]]:
        """One answer for each text or row, in their order, with its `prediction` and what else the task reports.

        A text is a row of one column; a row may lack the columns that only training needs. UserError: an input that the format cannot
        encode, by its number.
        """
        inputs = [inputs] if isinstance(inputs, (str, dict)) else list(inputs)
        answers = self._answers({number: self._encoded(each, f"row {number + 1}") for number, each in enumerate(inputs)})
        return [answers[number] for number in range(len(inputs))]

    def stream(self, inputs: Iterable[tuple[str | Row, str]], window: int = WINDOW) -> Iterator[dict[str, Any]]:
        """One answer for each text or row with its place (file and line), in their order; so many are read before they are answered.

        What nothing can be predicted from is answered too, with a `prediction` of None and the `reason`. UserError: that is so of all that
        are not blank.
        """
        refused: UserError | None = None
        held: list[dict[str, Any]] | None = []  # answers without a prediction, until there is one with
        inputs = iter(inputs)
        while some := list(islice(inputs, window)):
            encoded, answers = {}, {}
            for number, (given, place) in enumerate(some):
                if self._is_blank(given):
                    answers[number] = {"prediction": None, "reason": f"{place}: the row is blank"}
                    continue
                try:
                    encoded[number] = self._encoded(given, place)
                except UserError as error:
                    refused = refused or error
                    answers[number] = {"prediction": None, "reason": str(error)}
            answers |= self._answers(encoded)
            ordered = [answers[number] for number in range(len(some))]
            if held is not None and not encoded:
                held += ordered
                continue
            yield from [*(held or ()), *ordered]
            held = None
        if held and refused:
            raise refused
        yield from held or ()

    def _answers(self, encoded: Mapping[int, tuple[Row, Features]]) -> dict[int, dict[str, Any]]:
        """Number -> answer. Rows of like length share a batch."""
        answers: dict[int, dict[str, Any]] = {}
        by_length = sorted(encoded, key=lambda number: self.format.length(encoded[number][1]))
        task, generator, device = self.task.eval(), self.generator(), next(self.task.parameters()).device
        with torch.inference_mode():
            for start in range(0, len(by_length), BATCH_ROWS):
                numbers = by_length[start : start + BATCH_ROWS]
                batch = self._collated(numbers, [encoded[number] for number in numbers])
                answers.update(zip(numbers, task.predict(moved(batch, device), generator), strict=True))
        return answers

    def batch(self, inputs: str | Row | Iterable[str | Row], whole: bool = False) -> Batch:
        """The batch of texts or rows, as the task gets it: padded token ids, the padding mask and what else the format makes.

        whole: without the noise of pretraining."""
        inputs = [inputs] if isinstance(inputs, (str, dict)) else list(inputs)
        encoded = [self._encoded(each, f"row {number}") for number, each in enumerate(inputs, 1)]
        return self._collated(range(len(inputs)), encoded, whole)

    def _is_blank(self, given: str | Row) -> bool:
        """Whether an input has nothing but blanks, without the columns that only training needs."""
        values = [given] if isinstance(given, str) else [value for name, value in given.items() if name not in self.format.optional]
        return all(value in (None, "", []) or (isinstance(value, str) and value.isspace()) for value in values)

    def _encoded(self, given: str | Row, where: str) -> tuple[Row, Features]:
        """The row of an input, and its features. UserError, which begins with its place: it cannot be encoded."""
        row: Row = {}
        try:
            with error_context(where):
                row = self.format.from_text(given) if isinstance(given, str) else given
                row = {name: value for name, value in row.items() if name not in self.format.optional or value not in (None, "")}
                features = self.format.encode(row, self.tokenizer, self.spec)
        except KeyError as error:
            if error.args[0] not in self.format.columns:
                raise
            raise UserError(f"{where} has no {error.args[0]}; it has: {', '.join(row) or 'nothing'}") from None
        if features is None:
            raise UserError(f"{where}: there is nothing in it to predict from: {row}")
        return row, without_marks(features)[0]

    def _collated(self, numbers: Sequence[int], encoded: Sequence[tuple[Row, Features]], whole: bool = False) -> Batch:
        features = [each for _, each in encoded]
        batch = self.format.collate_whole(features, self.spec) if whole else self.format.collate(features, self.spec, Random(0))
        return BatchRows(list(numbers), [row for row, _ in encoded]).added_to(batch)

    def generator(self, split: str = "predict", rows: int | None = None) -> Decode:
        """The text generator for a split of so many rows."""
        return make_generator(self.config, self.tokenizer, self.spec, split, rows)


def device_of(name: str) -> torch.device:
    """The device of that name; auto is the first GPU, if there is one. UserError: this machine, or this torch, does not have it."""
    try:
        device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(f"device={name} cannot be used: {first_line(error)}\nchoose auto, cpu, cuda or cuda:NUMBER") from None
    return device


def make_generator(config: Mapping[str, Any], tokenizer: Tokenizer, spec: DataSpec, split: str, rows: int | None = None) -> Decode:
    """The text generator of a task for a split of so many rows; a task that generates no text gets a greedy one that stays unused."""
    options = config["task"]
    strategy = build(options.get("decoding") or {"part": "decoding/greedy"})
    return Decode(strategy, tokenizer.decode, spec.end, options.get(f"{split}_rows"), rows)


def moved(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on a device."""
    return {name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in batch.items()}
