"""Base classes of tasks: the model half of a plugin. Plain PyTorch; no Lightning, Hydra or W&B."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from framework.data.facts import Defaults
from framework.data.formats import Batch, Features, Format, Row
from framework.data.spec import DataSpec
from framework.generation.engine import Decode
from framework.registry import Part, choice
from framework.tasks.tables import plain_rows, with_figures

if TYPE_CHECKING:
    from torchmetrics import Metric  # imported where metrics are made: takes a second


@dataclass
class Result:
    """The result of `Task.forward`.

    loss: scalar, summed over targets. weight: scalar, their number; a step follows the summed loss of the global batch over its weight.
    output: whatever the task uses again, such as logits. losses: auxiliary losses by name, each with a weight of its
    own; they are trained beside the loss, logged and evaluated under their names (a second head).

    >>> result = Result(loss=torch.tensor(6.0), weight=torch.tensor(4))
    >>> float(result.loss / result.weight)  # the loss of a target
    1.5
    """

    loss: Tensor
    weight: Tensor
    output: Any = None
    losses: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    @classmethod
    def of(cls, losses: Tensor, output: Any = None) -> "Result":
        """The result of the losses of all targets, in any shape; an empty tensor where a batch has none."""
        return cls(losses.sum(), torch.full((), losses.numel(), device=losses.device), output)


@dataclass(frozen=True)
class BaselineData:
    """Rows for `Task.baseline`, each to be read once: at most ROWS rows and TOKENS tokens of either part (framework/workflows/baseline.py).

    train, test: rows as the source reads them. encoded: the training rows, encoded. batches: the test rows, as the model gets them.

    >>> rows = [{"text": "a good film", "label": "positive"}, {"text": "a dull film", "label": "negative"}]
    >>> data = BaselineData(train=rows, test=rows[:1])
    >>> Counter(row["label"] for row in data.train).most_common(1)[0][0]
    'positive'
    """

    train: Iterable[Row]
    test: Iterable[Row]
    encoded: Iterable[Features] = ()
    batches: Iterable[Batch] = ()


# What `Task.baseline` returns. '' -> the rows that the method predicts for all test rows, in their order and in the form of
# `Task.evaluate` (a row may have its number in the split, `row`); the metrics of the task are computed of them. Or name of a figure -> the
# figure. Those of further methods have a prefix to the names of their figures.
Baseline = Mapping[str, float | Sequence[dict[str, Any]]]


class Task(nn.Module):
    """A model with a loss, predictions and metrics.

    A subclass gives `forward` and `rows`; one whose predictions do not come from `forward` gives `evaluate` and `predict`.
    Its constructor takes `model: Part, spec: DataSpec, format: Format` and options of its own.

    format: columns, encoding, batches and built-in rows of the data.
    baseline: whether a simple method is measured on the test rows at the end of a run.

    >>> predictor = load("runs/last")
    >>> task = predictor.task
    >>> isinstance(task, Task), task.monitor, sorted(task.metrics())
    (True, 'validation/accuracy', ['calibration_error', 'labels'])
    """

    framework_options: ClassVar[tuple[str, ...]] = ("format", "baseline")  # options that the framework reads and no constructor takes
    option_traits: ClassVar[dict[str, tuple[str, ...]]] = {"may_change": ("baseline",)}
    format: Any = choice("format", None)  # of an instance: the format itself
    rules: ClassVar[dict[str, str]] = {}
    reads: ClassVar[tuple[str, ...]] = ()  # what a batch with targets must hold; () = whatever its own format makes
    read_in_evaluation: ClassVar[tuple[str, ...]] = ()  # of `reads`, what no training step reads; training batches are made without it
    defaults: ClassVar[Defaults | None] = None  # rules that choose settings from the training rows; None: the recipe is for all
    # What the loss is summed over: rows; or it compares the rows of a batch with each other (in-batch negatives), those of this process, or
    # those of all processes (`gather_rows`).
    loss_over: ClassVar[Literal["rows", "batch", "global_batch"]] = "rows"
    monitor: str = "validation/loss"  # the metric of the best checkpoint; where an option decides, it is set in `__init__`
    mode: str = "min"

    model: Any  # with the methods of its family: `forward`, `encode`, `decode`, `logits`
    spec: DataSpec

    def __init__(self, model: Part, spec: DataSpec, format: Format):
        super().__init__()
        self.spec, self.format = spec, format
        self.model = model(spec=spec)

    def forward(self, batch: Batch) -> Result:
        """Loss and outputs of a batch. A batch to predict from has no targets; its loss is that of none."""
        raise NotImplementedError

    def set_initial_weights(self, rows: Iterable[Row], batches: Iterable[Batch]) -> None:
        """Sets weights that are computed from the training rows instead of drawn, once, before a run trains; a resumed run has them in its
        checkpoint. Every process calls it, and must get the same weights. By default there are none.

        rows: as the source reads them; batches: the same rows, in their order, as the model gets them."""

    def rows(self, result: Result, batch: Batch) -> list[dict[str, Any]]:
        """A JSON-able dict for each of `batch["@rows"].raw`: `prediction`, and where the row has a target also `input` and `reference`."""
        raise NotImplementedError

    def predict(self, batch: Batch, decode: Decode) -> list[dict[str, Any]]:
        """The rows of a batch without targets."""
        return self.rows(self(batch), batch)

    def evaluate(self, batch: Batch, decode: Decode) -> tuple[Result, list[dict[str, Any]]]:
        """Loss and rows of a batch with targets. The rows are written to predictions.jsonl, and metrics are computed from them alone.
        A task that generates may leave out rows that `decode.wanted` does not select."""
        result = self(batch)
        return result, self.rows(result, batch)

    def metrics(self) -> dict[str, "Metric"]:
        """New metrics by name (`loss` is the learner's). A metric that computes a mapping has a figure for each of its keys."""
        return {}

    def update(self, metrics: dict[str, "Metric"], rows: list[dict[str, Any]]) -> None:
        """Updates the metrics with rows of `evaluate`. By default each takes `update(predictions, references)`."""
        for metric in metrics.values():
            metric.update([row["prediction"] for row in rows], [row["reference"] for row in rows])

    def baseline(self, data: BaselineData) -> Baseline:
        """Predictions or figures of a simple method for the test rows; see `Baseline`. One process of several computes it."""
        return {}

    def hints(self, config: Mapping[str, Any]) -> Iterable[str]:
        """Hints for a run that is not better than its baseline: options of this task, `KEY=VALUE: reason`, the most promising first.

        config: of the run."""
        return ()

    def table(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Rows of `evaluate` as trackers show them: column -> text, number or `Html`. By default values as they are, each of a mapping in a
        column of its own (the probability of each label)."""
        return plain_rows(rows)

    def report(self, rows: list[dict[str, Any]]) -> dict[str, str]:
        """Files to write beside predictions.jsonl after the test, name -> text, from all its rows (a confusion matrix)."""
        return {}


class GenerationTask(Task):
    """A task whose predictions are texts, generated token by token.

    decoding: the decoding strategy.
    validation_rows: number of validation rows to generate for at each validation, spread evenly; null = all.
    test_rows: number of test rows to generate for at the end; null = all.

    >>> options = compose(["task=translation", "task/decoding=sampling"])["task"]
    >>> options["decoding"]["part"], options["validation_rows"]
    ('decoding/sampling', 200)
    """

    framework_options: ClassVar[tuple[str, ...]] = ("decoding", "validation_rows", "test_rows")
    decoding: ClassVar[Any] = choice("decoding", "greedy")
    validation_rows: ClassVar[int | None] = 200
    test_rows: ClassVar[int | None] = None
    rules: ClassVar[dict[str, str]] = {
        "validation_rows is None or validation_rows >= 0": "validation_rows must not be negative; null = all",
        "test_rows is None or test_rows >= 0": "test_rows must not be negative; null = all",
    }

    def table(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """With the figures of each text alone, such as its BLEU."""
        return with_figures(self, rows, super().table(rows))

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        cls.rules = {**GenerationTask.rules, **cls.rules}  # also where a subclass has rules of its own
