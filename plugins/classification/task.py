"""What is told of a text, from the states of an encoder, or of a decoder that reads to the end.

Shapes: B batch, T tokens, D model width, C scores.
"""

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from framework.data.formats import Batch, Row
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.generation.engine import Decode
from framework.registry import Part, choice, register
from framework.tasks.base import Result
from framework.tasks.capabilities import Distillable, DistillationOutputs, Exportable

from . import classifiers  # noqa: F401 - registers what the slot holds when nobody chooses
from .pairs import BETWEEN
from .target import Target


@register("task")
class ClassificationTask(Distillable, Exportable):
    """A label, several, or a number for a text, by a linear layer over its pooled states. Devlin et al. 2019, section 4.1, https://arxiv.org/abs/1810.04805

    target: what is told of the text.
    classifier: from what speaks for the text to scores.
    pooling: which states speak for the text: the first token's, the last one's, their mean, their maximum by feature, or what the
        model's own pooler makes of the first (BERT).
    label_smoothing: share of the target's probability that is spread over all labels (of several: over yes and no).
    dropout: share of the pooled features that training leaves out.
    token_dropout: share of the tokens that training masks; with few texts it keeps single words from deciding. Iyyer et al. 2015,
        section 3.1, https://aclanthology.org/P15-1162
    """

    format = choice("format", "classification")
    rules: ClassVar[dict[str, str]] = {
        "'cross' not in provided": "an encoder-decoder reads one text to write another, and here there is only one",
        "pooling != 'first' or 'encoder' in provided": "the first token of a decoder sees nothing but itself; task.pooling=last sees all",
        "pooling != 'pooler' or 'pooler' in provided": "the model has no pooler; model.pooler=true gives it one, task.pooling=first does "
        "without",
        "'untied' not in provided": "no text is written here, so an output layer of its own would never learn; model.tied=true has none",
        "label_smoothing == 0 or target_part != 'number'": "a number has no probability to spread; task.label_smoothing=0",
        "teacher is None or target_part != 'number'": "a number has no probabilities, and these are what a teacher teaches",
        "0 <= label_smoothing < 1": "label_smoothing is a share of the target's probability",
        "0 <= dropout < 1": "dropout is a share of the features",
        "0 <= token_dropout < 1": "token_dropout is a share of the tokens",
    }
    hf_task = "text-classification"
    model: Any  # an encoder or a decoder: states (B, T, D) of ids (B, T)

    def __init__(
        self,
        model: Part,
        spec: DataSpec,
        pooling: Literal["first", "last", "mean", "max", "pooler"] = "mean",
        label_smoothing: float = 0.0,
        dropout: float = 0.1,
        token_dropout: float = 0.0,
        classifier: Part = choice("classifier", "linear"),
        target: Part = choice("target", "label"),
    ):
        super().__init__()
        if token_dropout and spec.mask is None:
            raise UserError("task.token_dropout needs a tokenizer with a mask token, and this one has none")
        self.token_dropout = token_dropout
        self.spec, self.pooling, self.label_smoothing = spec, pooling, label_smoothing
        self.target: Target = target()
        self.monitor, self.mode = self.target.monitor, self.target.mode
        self.model = model(spec=spec)
        self.dropout = nn.Dropout(dropout)
        if pooling == "pooler":
            self.model.pooler.requires_grad_(True)
        self.head = classifier(dim=self.model.dim, outputs=self.target.outputs(spec), dropout=dropout)
        self.export_inputs = ("ids", "padding_mask", "segments") if segments_of(self.model) > 1 else ("ids", "padding_mask")
        self.head_variant = ", ".join(word for word in (pooling, self.head.variant, self.target.variant) if word)

    def hf_config(self) -> dict[str, Any]:
        return {"id2label": dict(enumerate(self.spec.labels)), "problem_type": self.target.problem}

    def export_forward(self, batch: Batch) -> Tensor:
        return self.logits(batch)

    def postprocessing(self) -> dict[str, Any]:
        return self.target.postprocessing(self.spec)

    def forward(self, batch: Batch) -> Result:
        read = self.read(batch)
        loss, weight = self.target.loss(read.logits, batch["label"], self.spec, self.label_smoothing)
        return Result(loss, weight, read)

    def distillation_outputs(self, batch: Batch, result: Result) -> DistillationOutputs:
        return self.target.distillation_outputs(result.output)

    def logits(self, batch: Batch) -> Tensor:
        """Scores (B, C)."""
        return self.read(batch).logits

    def read(self, batch: Batch) -> DistillationOutputs:
        """Pooled states (B, D) and what they score (B, C)."""
        told = {"segments": batch["segments"]} if "segments" in batch and segments_of(self.model) > 1 else {}
        states = self.model(self._masked(batch["ids"]), padding_mask=batch["padding_mask"], **told)  # (B, T, D)
        text = self.model.pooler(states) if self.pooling == "pooler" else pool(states, batch["padding_mask"], self.pooling)  # (B, D)
        return DistillationOutputs(text, self.head(self.dropout(text)))

    def _masked(self, ids: Tensor) -> Tensor:
        """ids (B, T), in training with a share of them masked; the first token, which may speak for the text, stays."""
        if not (self.training and self.token_dropout) or self.spec.mask is None:
            return ids
        masked = torch.rand(ids.shape, device=ids.device) < self.token_dropout  # (B, T)
        masked[:, 0] = False
        return ids.masked_fill(masked, self.spec.mask)

    def predict(self, batch: Batch, decode: Decode) -> list[dict[str, Any]]:
        return self.target.predict(self.logits(batch), self.spec)

    def evaluate(self, batch: Batch, decode: Decode) -> tuple[Result, list[dict[str, Any]]]:
        result = self(batch)
        known = ({"input": shown(raw), "reference": self.target.value(raw)} for raw in batch["raw"])
        answers = self.target.predict(result.output.logits, self.spec)
        return result, [{**row, **told} for row, told in zip(known, answers, strict=True)]

    def metrics(self) -> dict[str, Metric]:
        return self.target.metrics(self.spec)

    def update(self, metrics: dict[str, Metric], rows: list[dict[str, Any]]) -> None:
        self.target.update(metrics, rows, self.spec)

    def report(self, rows: list[dict[str, Any]]) -> dict[str, str]:
        return self.target.report(rows, self.spec)


def segments_of(model: Any) -> int:
    """How many kinds of segments a model tells apart."""
    table = getattr(getattr(model, "embeddings", None), "segments", None)
    return 0 if table is None else table.num_embeddings


def shown(row: Row) -> str:
    """The text of a row, or both."""
    return BETWEEN.join(row[column] for column in ("text", "second") if column in row)


def pool(states: Tensor, padding_mask: Tensor | None, how: str) -> Tensor:
    """The states (B, T, D) of a text as one (B, D); padding, on the right, where padding_mask (B, T) is False, has no part in it."""
    if how == "first":
        return states[:, 0]
    if padding_mask is None:
        padding_mask = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
    if how == "last":
        return states[torch.arange(states.shape[0], device=states.device), padding_mask.sum(dim=1) - 1]
    if how == "mean":
        return (states * padding_mask[..., None]).sum(dim=1) / padding_mask.sum(dim=1, keepdim=True)
    return states.masked_fill(~padding_mask[..., None], float("-inf")).amax(dim=1)
