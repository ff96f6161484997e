"""What a task computes: the model half of a plugin. Plain PyTorch; no Lightning, Hydra or W&B."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torchmetrics import Metric

from framework.data.formats import Batch, Format, Row
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.generation.engine import Decode
from framework.registry import choice, describe
from framework.tasks.outputs import DistillationOutputs


@dataclass
class Result:
    """loss: summed over targets. weight: their number; the learner divides by the weight of the whole global batch.
    output: whatever the task wants to use again."""

    loss: Tensor
    weight: Tensor
    output: Any = None


class Task(nn.Module):
    """A model with a purpose.

    A subclass takes `model: Part, spec: DataSpec` and options of its own, and builds `self.model = model(spec=spec)`.
    format: how rows become batches: columns, encoding, built-in rows.
    purpose: what the task is for, in words that published heads are known by: sequence_labels, token_labels, masked_tokens, next_token,
        text_to_text; null = nothing that any is known for.
    reads: what of a batch `scores_of` reads; a task whose purpose is a writer's (next_token, text_to_text) needs none.
    form: how the task computes from the model's states what it tells, in words that published heads are known by
        (framework/huggingface/families); empty = there is one way alone.
    teacher: a run that training learns from beside the rows, which must be of the same task; its tokenizer comes along; null = none.
    distillation: how training learns from the teacher, if there is one.
    consumed: options that the framework reads and no constructor sees, beside those of the bases.
    """

    consumed: ClassVar[tuple[str, ...]] = ("format", "teacher", "distillation")
    format: ClassVar[Any] = choice("format", None)
    teacher: ClassVar[str | None] = None
    distillation: ClassVar[Any] = choice("distillation", "standard")
    rules: ClassVar[dict[str, str]] = {}
    provides: ClassVar[tuple[str, ...]] = ()
    monitor: str = "validation/loss"  # what the best checkpoint is best at; an option may decide, in `__init__`
    mode: str = "min"
    purpose: str | None = None
    form: str = ""
    reads: tuple[str, ...] = ("ids", "padding_mask")

    model: Any  # what its family offers: `forward`, `encode`, `decode`, `logits`
    spec: DataSpec

    def forward(self, batch: Batch) -> Result:
        """Loss of a batch with targets."""
        raise NotImplementedError

    def told(self, batch: Batch, result: Result) -> DistillationOutputs:
        """What `forward` told of the batch's targets, from its result (`result.output` may carry it). Who has it can be a teacher, or
        learn from one. UserError: this task has not."""
        raise UserError(
            f"{describe(type(self))} cannot learn from a teacher: it has no method told(batch, result) that gives, of what forward told, "
            "DistillationOutputs(hidden (N, D), logits (N, C)) of its N targets (framework/tasks/outputs.py)"
        )

    def predict(self, batch: Batch, decode: Decode) -> list[dict[str, Any]]:
        """One JSON-able dict a row: `prediction`, `score` and what else is worth keeping. Needs no targets."""
        raise NotImplementedError

    def evaluate(self, batch: Batch, decode: Decode) -> tuple[Result, list[dict[str, Any]]]:
        """Loss and the rows that `update` makes figures of (with `input`, `reference`, `prediction`): what stands in
        predictions.jsonl. A task that decodes may leave out rows that `decode.wanted` does not name."""
        raise NotImplementedError

    def metrics(self) -> dict[str, Metric]:
        """Fresh metrics by the name of their figure (`loss` is the learner's). One whose `compute` gives a mapping gives several
        figures, each by its own key."""
        return {}

    def update(self, metrics: dict[str, Metric], rows: list[dict[str, Any]]) -> None:
        """Feeds rows as `evaluate` gave them to the metrics."""

    def baseline(self, format: Format, train: Iterable[Row], test: Iterable[Row]) -> dict[str, float]:
        """Figures of the format's simple method on the test rows; a task whose options say how to measure, measures it so too.
        One process of several measures it: a `Metric` used here must not wait for the others (`sync_on_compute=False`)."""
        return format.baseline(train, test)

    def published(self) -> dict[str, Any]:
        """What the config.json of a published model says of the task: `id2label`, the names of its scores, and what else its head needs."""
        return {}

    def scores_of(self, batch: Batch) -> Tensor:
        """What an exported program computes: scores of texts (B, C), or of every token (B, T, C). The batch has what `reads` names, as
        tensors: ids (B, T), padding_mask (B, T), segments (B, T)."""
        raise NotImplementedError

    def legend(self) -> dict[str, Any]:
        """What it takes beside `published`'s names to make an answer of `scores_of`, JSON-able."""
        return {}

    def report(self, rows: list[dict[str, Any]]) -> dict[str, str]:
        """Files to write beside predictions.jsonl after the test, name -> text, made of all its rows (a confusion matrix)."""
        return {}


class WritingTask(Task):
    """A task whose answers are texts, written token by token.

    decoding: how they are written.
    validation_rows: how many rows of the validation part are written at each validation, spread evenly; null = all.
    test_rows: how many rows of the test part are written at the end; null = all.
    """

    consumed: ClassVar[tuple[str, ...]] = ("decoding", "validation_rows", "test_rows")
    decoding: ClassVar[Any] = choice("decoding", "greedy")
    validation_rows: ClassVar[int | None] = 200
    test_rows: ClassVar[int | None] = None
