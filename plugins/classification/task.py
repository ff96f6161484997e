"""Classification and regression of texts, by an encoder or a decoder.

Shapes: B batch, T tokens, D model width, C scores.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor

from framework import (
    Baseline,
    BaselineData,
    Batch,
    Calibrated,
    DataSpec,
    Distillable,
    DistillationOutputs,
    Dropout,
    Exportable,
    Part,
    Result,
    Row,
    UserError,
    choice,
    register,
)

from . import classifiers  # noqa: F401 - registers the default of the slot
from .data import ClassificationFormat
from .defaults import ClassificationDefaults
from .ngrams import ngram_scores
from .pairs import BETWEEN, PairsFormat
from .target import Target

if TYPE_CHECKING:
    from torchmetrics import Metric  # imported where metrics are made: takes a second


@register("task")
class ClassificationTask(Distillable, Exportable, Calibrated):
    """One label, several, or a number for a text, by a classifier of its pooled hidden states. Devlin et al. 2019, section 4.1, https://arxiv.org/abs/1810.04805

    target: what is predicted of a text.
    classifier: from the pooled state to scores.
    ngrams: tokens of the longest n-grams of a linear model, fitted to the training rows before the training, whose scores join those of the
        classifier in predictions; 0 = no such model. Few texts suffice for it. Wang and Manning 2012, https://aclanthology.org/P12-2018.
        Of two texts it has overlaps, too; beside it, and beside that of a number, the classifier learns what it does not tell.
    pooling: the state of the text: the first token's, the last one's, their mean, their maximum by feature, or the output of the model's
        own pooler (BERT).
    label_smoothing: share of the target's probability that is spread over all labels (of several labels: over yes and no).
    dropout: dropout probability of the pooled state.
    token_dropout: probability that training masks a token; with few texts it keeps single words from deciding. Iyyer et al. 2015,
        section 3.1, https://aclanthology.org/P15-1162
    """

    framework_options: ClassVar[tuple[str, ...]] = ("target",)  # by the format
    format = choice("format", "classification")
    reads = ("ids", "padding_mask", "label")
    target: Any = choice("target", "label")  # of an instance: the format's
    rules: ClassVar[dict[str, str]] = {
        "'cross' not in provided": "this task has one text: choose an encoder or a decoder, not an encoder-decoder",
        "pooling != 'first' or 'encoder' in provided": "a decoder's first token attends to itself alone; choose task.pooling=last",
        "pooling != 'pooler' or 'pooler' in provided": "the model has no pooler; model.pooler=true gives it one, task.pooling=first does "
        "without",
        "'untied' not in provided": "no text is generated, so an untied lm_head would never learn; model.tied=true has none",
        "label_smoothing == 0 or target_part != 'number'": "a number has no probability to smooth; task.label_smoothing=0",
        "not calibrate or target_part != 'number'": "a number has no probabilities to calibrate; task.calibrate=false",
        "teacher is None or target_part != 'number'": "a number has no probabilities to distill; task.teacher=null",
        "0 <= label_smoothing < 1": "label_smoothing must be in [0, 1)",
        "0 <= dropout < 1": "dropout must be in [0, 1)",
        "0 <= ngrams <= 8": "ngrams must be from 0, no linear model, to 8",
        "0 <= token_dropout < 1": "token_dropout must be in [0, 1)",
    }
    defaults = ClassificationDefaults()
    hf_task = "text-classification"
    model: Any  # an encoder or a decoder: states (B, T, D) of ids (B, T)

    def __init__(
        self,
        model: Part,
        spec: DataSpec,
        format: ClassificationFormat,
        pooling: Literal["first", "last", "mean", "max", "pooler"] = "mean",
        label_smoothing: float = 0.0,
        dropout: float = 0.1,
        token_dropout: float = 0.0,
        classifier: Part = choice("classifier", "linear"),
        ngrams: int = 0,
    ):
        super().__init__(model, spec, format)
        if token_dropout and spec.mask is None:
            raise UserError("task.token_dropout needs a tokenizer with a mask token, and this one has none: task.token_dropout=0")
        self.pooling, self.label_smoothing, self.token_dropout = pooling, label_smoothing, token_dropout
        self.target: Target = format.target
        self.monitor, self.mode = self.target.monitor, self.target.mode
        self.dropout = Dropout(dropout)
        if pooling == "pooler":
            self.model.pooler.requires_grad_(True)
        outputs = self.target.outputs(spec)
        self.head = classifier(dim=self.model.dim, outputs=outputs, dropout=dropout)
        paired = isinstance(format, PairsFormat)
        self.ngrams = ngram_scores(outputs, ngrams, spec, paired) if ngrams else None
        segments = segments_of(self.model) > 1 or (paired and ngrams)
        self.export_inputs = ("ids", "padding_mask", "segments") if segments else ("ids", "padding_mask")
        self.head_variant = ", ".join(
            word for word in (pooling, self.head.variant, "n-grams" if ngrams else "", self.target.variant) if word
        )

    def hf_config(self) -> dict[str, Any]:
        return {"id2label": dict(enumerate(self.spec.labels)), "problem_type": self.target.problem}

    def export_forward(self, batch: Batch) -> Tensor:
        return self.outputs(batch).logits / self.temperature

    def postprocessing(self) -> dict[str, Any]:
        return self.target.postprocessing(self.spec)

    def forward(self, batch: Batch) -> Result:
        outputs = self.outputs(batch)
        if "label" not in batch:
            return Result.of(outputs.logits.new_zeros(0), outputs)
        loss, weight = self.target.loss(outputs.logits, batch["label"], self.spec, self.label_smoothing)
        return Result(loss, weight, outputs)

    def outputs(self, batch: Batch) -> DistillationOutputs:
        """Pooled states (B, D) and scores (B, C)."""
        segments = {"segments": batch["segments"]} if "segments" in batch and segments_of(self.model) > 1 else {}
        states = self.model(self._masked(batch["ids"]), padding_mask=batch["padding_mask"], **segments)  # (B, T, D)
        text = self.model.pooler(states) if self.pooling == "pooler" else pool(states, batch["padding_mask"], self.pooling)  # (B, D)
        scores = self.head(self.dropout(text))  # (B, C)
        if self.ngrams is not None:
            scores = self.ngrams(scores, batch)
        return DistillationOutputs(text, scores)

    def set_initial_weights(self, rows: Iterable[Row], batches: Iterable[Batch]) -> None:
        if self.ngrams is not None:
            self.ngrams.fit(batches, lambda scores, targets: self.target.loss(scores, targets, self.spec, 0.0)[0])

    def distillation_outputs(self, batch: Batch, result: Result) -> DistillationOutputs:
        return self.target.distillation_outputs(result.output)

    def _masked(self, ids: Tensor) -> Tensor:
        """ids (B, T), in training with a share of them masked; never the first token, which may be the pooled one."""
        if not (self.training and self.token_dropout) or self.spec.mask is None:
            return ids
        masked = torch.rand(ids.shape, device=ids.device) < self.token_dropout  # (B, T)
        masked[:, 0].fill_(False)
        return ids.masked_fill(masked, self.spec.mask)

    def rows(self, result: Result, batch: Batch) -> list[dict[str, Any]]:
        predictions = self.target.predict(result.output.logits / self.temperature, self.spec)
        if "label" not in batch:
            return predictions
        targets = ({"input": shown(raw), "reference": self.target.value(raw)} for raw in batch["@rows"].raw)
        return [{**target, **prediction} for target, prediction in zip(targets, predictions, strict=True)]

    def losses_at(self, result: Result, batch: Batch, temperatures: Sequence[float]) -> Tensor:
        return self.target.losses_at(result.output.logits, batch["label"], self.spec, temperatures)

    def metrics(self) -> dict[str, "Metric"]:
        return self.target.metrics(self.spec)

    def update(self, metrics: dict[str, "Metric"], rows: list[dict[str, Any]]) -> None:
        self.target.update(metrics, rows)

    def report(self, rows: list[dict[str, Any]]) -> dict[str, str]:
        return self.target.report(rows, self.spec)

    def hints(self, config: Mapping[str, Any]) -> Iterator[str]:
        if self.ngrams is None and config["task"]["target"]["part"] != "target/number":
            yield "task.ngrams=2: the scores of a linear model of words and word pairs join those of the classifier"

    def baseline(self, data: BaselineData) -> Baseline:
        """A linear model of words and word pairs, of two texts also of what they have in common: `Target.baseline`."""
        predict = self.target.baseline((self.format.words(row), self.target.value(row)) for row in data.train)
        return {"": [{"prediction": predict(self.format.words(row)), "reference": self.target.value(row)} for row in data.test]}


def segments_of(model: Any) -> int:
    """The number of segment embeddings of a model."""
    table = getattr(getattr(model, "embeddings", None), "segments", None)
    return 0 if table is None else table.num_embeddings


def shown(row: Row) -> str:
    """The text of a row, or both texts."""
    return BETWEEN.join(row[column] for column in ("text", "second") if column in row)


def pool(states: Tensor, padding_mask: Tensor | None, how: str) -> Tensor:
    """The hidden states (B, T, D) of texts as one (B, D) for each; padding, on the right, is left out."""
    if how == "first":
        return states[:, 0]
    if padding_mask is None:
        padding_mask = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
    if how == "last":
        return states[torch.arange(states.shape[0], device=states.device), padding_mask.sum(dim=1) - 1]
    if how == "mean":
        return (states * padding_mask[..., None]).sum(dim=1) / padding_mask.sum(dim=1, keepdim=True)
    return states.masked_fill(~padding_mask[..., None], float("-inf")).amax(dim=1)
