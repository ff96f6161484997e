"""Tasks that are wrong on purpose: each is rejected by the name of the promise that it breaks."""

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchmetrics import Metric

from framework.data.formats import Format, text_of
from framework.data.padding import pad, padding_mask
from framework.metrics.ratio import Average
from framework.registry import Part, choice, register
from framework.tasks.base import Result, Task
from framework.tasks.capabilities import Distillable, DistillationOutputs
from framework.tasks.gathering import gather_rows
from framework.testing import BrokenPromise, ToyTask, check_task

ROWS = [{"text": "ab" * (number % 4 + 1), "label": number % 2} for number in range(9)]
APART = [{"text": letter * (number % 4 + 1), "label": number % 2} for number, letter in enumerate("abcdefghi")]


@register("format", "of_wrong_tasks")
class LetterFormat(Format):
    """A text and one of two classes."""

    columns, optional = ("text", "label"), ("label",)

    def tokenizer_texts(self, row):
        return [text_of(row)]

    def encode(self, row, tokenizer, spec):
        features = {"ids": [spec.begin, *tokenizer.encode(text_of(row))][: spec.max_length]}
        return features | ({"label": row["label"]} if "label" in row else {})

    def collate(self, features, spec, random):
        ids = [row["ids"] for row in features]
        batch = {"ids": pad(ids, spec.padding), "padding_mask": padding_mask(ids)}
        return batch | ({"label": torch.tensor([row["label"] for row in features])} if "label" in features[0] else {})


class Right(Task):
    """Nothing is wrong with this one."""

    format = choice("format", "of_wrong_tasks")

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.head = nn.Linear(16, 2)

    def states(self, batch: dict[str, Any]) -> Tensor:
        hidden = self.model(batch["ids"], padding_mask=batch["padding_mask"])  # (B, T, D)
        padding_mask = torch.ones_like(batch["ids"]) if batch["padding_mask"] is None else batch["padding_mask"]
        return (hidden * padding_mask[..., None]).sum(1) / padding_mask.sum(1, keepdim=True)

    def forward(self, batch):
        logits = self.head(self.states(batch))
        losses = cross_entropy(logits, batch["label"], reduction="none") if "label" in batch else logits.new_zeros(0)
        return Result.of(losses, logits)

    def rows(self, result, batch):
        return [
            {"input": raw["text"], "reference": raw.get("label"), "prediction": row.index(max(row)), "score": max(row)}
            for raw, row in zip(batch["@rows"].raw, result.output.tolist(), strict=True)
        ]

    def metrics(self) -> dict[str, Metric]:
        return {"accuracy": Average()}

    def update(self, metrics, rows):
        metrics["accuracy"].update([row["prediction"] == row["reference"] for row in rows])


class MeanLoss(Right):
    def forward(self, batch):
        result = super().forward(batch)
        return Result(result.loss / result.weight, torch.tensor(1), result.output)


class ReadsPadding(Right):
    def states(self, batch):
        return self.model(batch["ids"]).mean(1)


class ReadsNeighbors(Right):
    def states(self, batch):
        states = super().states(batch)
        return states - states.mean(0)


class DeadWeight(Right):
    def __init__(self, **options: Any):
        super().__init__(**options)
        self.spare = nn.Linear(16, 2)


class HiddenWeight(Right):
    """A list of layers is no module: its weights are in no checkpoint."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.layers = [nn.Linear(16, 16, dtype=torch.float64)]

    def states(self, batch):
        return self.layers[0](super().states(batch))


class NeedsTargets(Right):
    def forward(self, batch):
        return super().forward({**batch, "label": batch["label"]})


class GivesTensors(Right):
    def rows(self, result, batch):
        return [{"prediction": row.argmax(), "score": row.max()} for row in result.output]


class GivesNoRows(Right):
    def evaluate(self, batch, decode):
        result, rows = super().evaluate(batch, decode)
        return result, rows[:1]


class FigureOfBatches(Right):
    """The mean of the batches' means."""

    def update(self, metrics, rows):
        metrics["accuracy"].update([sum(row["prediction"] == row["reference"] for row in rows) / len(rows)])


class OwnFigures(Metric):
    """Stays on its rank."""

    def __init__(self):
        super().__init__()
        self.add_state("right", torch.tensor(0.0), dist_reduce_fx=None)

    def update(self, values):
        self.right += len(values)

    def compute(self):
        return self.right.max()


class FiguresOfOneRank(Right):
    def metrics(self):
        return {"accuracy": OwnFigures()}


class ReadsTooMuch(Right):
    """Has room for as many tokens as the rows have."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.places = nn.Parameter(torch.ones(9, 16))

    def states(self, batch):
        hidden = self.model(batch["ids"], padding_mask=batch["padding_mask"])
        hidden = hidden * self.places[torch.arange(hidden.shape[1])]
        padding_mask = torch.ones_like(batch["ids"]) if batch["padding_mask"] is None else batch["padding_mask"]
        return (hidden * padding_mask[..., None]).sum(1) / padding_mask.sum(1, keepdim=True)


class LearnsSomethingElse(Right):
    """Nearly all of its loss is out of its reach."""

    def forward(self, batch):
        result = super().forward(batch)
        return Result(result.loss + 10 * len(batch["ids"]), result.weight, result.output)


class NumberedRows(Right):
    """Takes a row for another one by its place in the batch."""

    def states(self, batch):
        states = super().states(batch)
        return states + torch.arange(len(states))[:, None]


class UncheckedFormat(LetterFormat):
    """Hands whatever a row holds to the tokenizer."""

    def encode(self, row, tokenizer, spec):
        return {"ids": [spec.begin, *tokenizer.encode(row["text"])][: spec.max_length], "label": row.get("label", 0)}


class SilentFormat(LetterFormat):
    """Reads any value as a text."""

    def encode(self, row, tokenizer, spec):
        return super().encode({**row, "text": str(row["text"])}, tokenizer, spec)


class ReadsNumbers(Right):
    format = Part(SilentFormat)


class ChecksNoType(Right):
    format = Part(UncheckedFormat)


class OutputsOfTheBatch(Right, Distillable):
    """Its distillation outputs are of a batch as a whole."""

    def distillation_outputs(self, batch, result):
        return DistillationOutputs(self.states(batch).mean(dim=0, keepdim=True), result.output)


class OutputsWithoutClasses(Right, Distillable):
    """Its logits are of no classes."""

    def distillation_outputs(self, batch, result):
        return DistillationOutputs(self.states(batch), result.output.amax(dim=-1))


class Compares(Right):
    """Each row against all rows of its batch: nothing is wrong with it either, as it says so."""

    loss_over = "batch"

    def others(self, states, batch):
        return states, 0

    def forward(self, batch):
        states = self.states(batch)
        others, first = self.others(states, batch)
        logits = self.head(states)
        losses = cross_entropy(states @ others.T, first + torch.arange(len(states)), reduction="none")
        losses = losses + cross_entropy(logits, batch["label"], reduction="none") if "label" in batch else logits.new_zeros(0)
        return Result.of(losses, logits)


class ComparesAll(Compares):
    """Each row against all rows of the global batch."""

    loss_over = "global_batch"

    def others(self, states, batch):
        return gather_rows(states, batch)


class ComparesUnsaid(Compares):
    loss_over = "rows"


class ComparesItsOwn(ComparesAll):
    """Leaves the rows of other processes out."""

    def others(self, states, batch):
        return states, 0


class ComparesWithoutGradient(ComparesAll):
    """The rows of other processes have no gradient."""

    def others(self, states, batch):
        others, first = gather_rows(states.detach(), batch)
        return torch.cat((others[:first], states, others[first + len(states) :])), first


class ComparesInOrder(Compares):
    """A row has the more weight the later it comes."""

    def others(self, states, batch):
        return states * torch.arange(1, len(states) + 1)[:, None], 0


class MeanOfAnotherLoss(Right):
    """Its auxiliary loss is a mean with the weight of a sum."""

    def forward(self, batch):
        result = super().forward(batch)
        result.losses["size"] = result.output.square().mean(), torch.tensor(len(result.output))
        return result


class DeclaredFormat(LetterFormat):
    makes = ("ids", "padding_mask", "label")


class ReadsUnsaid(Right):
    """Reads a padding mask that it does not name."""

    format, reads = Part(DeclaredFormat), ("ids",)


class ReadsUnmade(Right):
    format, reads = Part(DeclaredFormat), ("ids", "padding_mask", "spans")


class BoastingFormat(LetterFormat):
    makes = ("ids", "padding_mask", "label", "spans")


class TrustsItsFormat(Right):
    format = Part(BoastingFormat)


WRONG = {
    ReadsUnsaid: "batch is declared: the task reads padding_mask of a batch, which its `reads` does not name",
    ReadsUnmade: "batch is declared: the task reads spans, which DeclaredFormat.makes does not name",
    TrustsItsFormat: "batch is declared: BoastingFormat.makes names spans, which its batches lack",
    MeanOfAnotherLoss: "loss is a sum: the loss of 'size'",
    ComparesUnsaid: "loss is a sum",
    ComparesInOrder: "loss ignores the order of rows",
    ComparesItsOwn: "runs in two processes: the gradient of",
    ComparesWithoutGradient: "runs in two processes: the gradient of",
    OutputsOfTheBatch: "distillation outputs add up: the hidden of a batch are not those of its parts",
    OutputsWithoutClasses: r"distillation outputs add up: hidden is \(M, D\), logits \(N, C\)",
    MeanLoss: "loss is a sum",
    ReadsPadding: "respects padding",
    ReadsNeighbors: "loss is a sum|rows are independent",
    NumberedRows: "loss is a sum|rows are independent",
    DeadWeight: "gradients reach every parameter: that of spare",
    HiddenWeight: "saves and loads",
    NeedsTargets: "predicts without targets",
    GivesTensors: "rows are plain",
    GivesNoRows: "result has its shape",
    FigureOfBatches: "rows are plain",
    FiguresOfOneRank: "runs in two processes",
    ReadsTooMuch: "answers any text: a very long text",
    ReadsNumbers: "refuses other types: encode of a row with text = 5: it is accepted",
    ChecksNoType: "refuses other types: .*, line 2 ends in TypeError",
    LearnsSomethingElse: "learns its rows",
}


def toy(task: type[Task]) -> ToyTask:
    return ToyTask(Part(task), APART if issubclass(task, Compares) else ROWS, max_length=64)


@pytest.mark.parametrize("task", [Right, Compares, ComparesAll])
def test_a_right_task_keeps_every_promise(task):
    check_task(toy(task))


@pytest.mark.matrix(0.5, axes=())
@pytest.mark.parametrize(("task", "promise"), WRONG.items(), ids=[task.__name__ for task in WRONG])
def test_a_wrong_task_is_rejected_by_the_name_of_the_promise(task, promise):
    with pytest.raises(BrokenPromise, match=f"^({promise})"):
        check_task(toy(task))


def test_a_task_without_a_format_is_told_so():
    class Formless(Right):
        format = choice("format", None)

    with pytest.raises(BrokenPromise, match="a task has a format: Formless has none"):
        toy(Formless)


def test_a_task_that_no_model_suits_is_told_why():
    class Choosy(Right):
        rules: ClassVar = {"'wings' in provided": "this task flies"}

    with pytest.raises(BrokenPromise, match="some model suits the task: encoder_only: this task flies"):
        toy(Choosy)
