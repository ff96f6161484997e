"""Pretraining on text alone: masked, causal or denoising language modeling.

Shapes: B batch, T tokens, N targets, D model width, V vocabulary.
"""

from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from framework import (
    IGNORED,
    Baseline,
    BaselineData,
    Batch,
    DataSpec,
    Decode,
    Distillable,
    DistillationOutputs,
    Exportable,
    Format,
    GenerationTask,
    Part,
    Result,
    choice,
    logits_at_targets,
    pad_left,
    register,
    row_losses,
    target_losses,
)

from .baseline import Neighbors, counted
from .defaults import PretrainingDefaults
from .denoising import filled
from .head import token_head

if TYPE_CHECKING:
    from torchmetrics import Metric  # imported where metrics are made: takes a second

INPUTS = ("ids", "padding_mask", "source", "target", "source_padding_mask")  # arguments of the models; a format gives those of its family
CANDIDATES = 5  # named for each gap
GAP = "[MASK]"


@register("task")
class PretrainingTask(GenerationTask, Distillable, Exportable):
    """A model that learns from text alone, measured by accuracy and perplexity of its targets. Other tasks begin from it with
    `model.pretrained=RUN`.

    format: the objective: `masked` for an encoder, `causal` for a decoder, `span_corruption` and `infilling` for an encoder-decoder.
    decoding: the decoding strategy of a model that generates.
    validation_rows: number of validation rows to show at each validation, spread evenly; null = all.
    test_rows: number of test rows to show at the end; null = all.
    """

    format = choice("format", "masked")
    rules: ClassVar[dict[str, str]] = {
        "'pretraining' in provided": "this format has no pretraining targets; choose task/format=masked|causal|span_corruption|infilling",
    }

    reads = ("targets",)
    validation_rows: ClassVar[int | None] = 0
    test_rows: ClassVar[int | None] = 3

    defaults = PretrainingDefaults()

    def __init__(self, model: Part, spec: DataSpec, format: Format):
        super().__init__(model, spec, format)
        generates = hasattr(self.model, "logits")
        generation = "text2text-generation" if hasattr(self.model, "encode") else "text-generation"
        self.hf_task = generation if generates else "fill-mask"
        self.head = None if generates else token_head(self.model, spec.vocab_size)

    def forward(self, batch: Batch) -> Result:
        targets, places = batch["targets"], batch.get("target_places")
        outputs = logits_at_targets(self, self._states(batch), targets, places)
        losses = target_losses(outputs, targets, places=places)  # (N,)
        return Result.of(losses, (outputs, losses))

    def distillation_outputs(self, batch: Batch, result: Result) -> DistillationOutputs:
        return result.output[0]

    def _states(self, batch: Batch) -> Tensor:
        inputs = {name: batch[name] for name in INPUTS if name in batch}
        if "source" in batch:
            inputs["target_padding_mask"] = batch["targets"] != IGNORED
        elif "padding_mask" not in batch:  # causal: every token but the last has a target
            inputs |= {"padding_mask": batch["targets"] != IGNORED, "padding_side": "right"}
        return self.model(**inputs)  # (B, T, D)

    def logits(self, hidden: Tensor) -> Tensor:
        """hidden (N, D) -> scores of all tokens (N, V)."""
        return self.model.logits(hidden) if self.head is None else self.head(hidden, self.model.tokens)

    def export_forward(self, batch: Batch) -> Tensor:
        return self.logits(self._states(batch))

    def evaluate(self, batch: Batch, decode: Decode) -> tuple[Result, list[dict[str, Any]]]:
        """Nats, tokens and right predictions of every row; for the selected rows also input, reference and prediction."""
        result = self(batch)
        (outputs, losses), targets = result.output, batch["targets"]
        predicted = targets.clone()
        predicted[targets != IGNORED] = outputs.logits.argmax(dim=-1)
        counts, right = (targets != IGNORED).sum(dim=1), ((predicted == targets) & (targets != IGNORED)).sum(dim=1)
        columns = zip(row_losses(losses, targets).tolist(), counts.tolist(), right.tolist(), strict=True)
        rows: list[dict[str, Any]] = [{"nats": nats, "tokens": count, "right": hits} for nats, count, hits in columns]
        for row in decode.wanted(batch["@rows"].numbers):
            counted = targets[row] != IGNORED
            rows[row] |= {
                "input": self._text((batch["source"] if "source" in batch else batch["ids"])[row].tolist(), decode),
                "reference": decode.text(targets[row][counted].tolist()),
                "prediction": decode.text(predicted[row][counted].tolist()),
            }
        return result, rows

    def predict(self, batch: Batch, decode: Decode) -> list[dict[str, Any]]:
        """The text with its gaps filled, or continued. A text without a gap is masked as in training."""
        if self.head is not None:
            return self._fill(batch, decode)
        encoder_output = None
        if "source" in batch:
            encoder_output = self.model.encode(batch["source"], batch["source_padding_mask"])
            inputs, prompt, padding_mask = batch["source"].tolist(), batch["target"][:, :1], None
        else:
            inputs = [self._prompt(ids, targets) for ids, targets in zip(batch["ids"], batch["targets"], strict=True)]
            prompt, padding_mask = pad_left(inputs, self.spec.padding, batch["ids"].device)
        best = [row[0] for row in decode(self.model, prompt, padding_mask, encoder_output)]
        rows = []
        for ids, generated in zip(inputs, best, strict=True):
            text = decode.text(filled(ids, generated.ids, self.spec.special_ids)) if self.spec.special_ids else generated.text
            rows.append({"input": self._text(ids, decode), "prediction": text, "score": generated.score})
        return rows

    def _fill(self, batch: Batch, decode: Decode) -> list[dict[str, Any]]:
        """Each gap by itself with its likeliest token; `gaps` has the likeliest few and their probabilities."""
        hidden, rows = self._states(batch), []
        for ids, states in zip(batch["ids"], hidden, strict=True):
            gap = ids == self.spec.mask
            scores, best = self.logits(states[gap]).float().softmax(dim=-1).topk(min(CANDIDATES, self.spec.vocab_size))
            candidates = [
                [{"text": decode.text([id]), "score": score} for id, score in zip(*row, strict=True)]
                for row in zip(best.tolist(), scores.tolist(), strict=True)
            ]
            whole = ids.masked_scatter(gap, best[:, 0]).tolist()
            rows.append({"input": self._text(ids.tolist(), decode), "prediction": decode.text(whole), "gaps": candidates})
        return rows

    def _prompt(self, ids: Tensor, targets: Tensor) -> list[int]:
        """The tokens of a text to continue, the last half of what the model takes at most: the first input and the targets."""
        text = [int(ids[0]), *targets[targets != IGNORED].tolist()]
        text = text[:-1] if text[-1] == self.spec.end and len(text) > 1 else text
        return text[-max(1, self.spec.max_length // 2) :]

    def _text(self, ids: list[int], decode: Decode) -> str:
        """Tokens as text, with visible gaps."""
        gaps = {self.spec.mask, *self.spec.special_ids}
        pieces: list[list[int]] = [[]]
        for id in ids:
            if id in gaps:
                pieces.append([])
            else:
                pieces[-1].append(id)
        return f" {GAP} ".join(decode.text(piece).strip(" ") for piece in pieces)

    def metrics(self) -> dict[str, "Metric"]:
        from framework import Perplexity, Ratio

        return {"accuracy": Ratio(), "perplexity": Perplexity()}

    def update(self, metrics: dict[str, "Metric"], rows: list[dict[str, Any]]) -> None:
        tokens = [row["tokens"] for row in rows]
        metrics["accuracy"].update([row["right"] for row in rows], tokens)
        if "nats" in rows[0]:  # the baseline has none
            metrics["perplexity"].update([row["nats"] for row in rows], tokens)

    def baseline(self, data: BaselineData) -> Baseline:
        """The likeliest token by its neighbors, on the sides that the model has."""
        hidden = frozenset(id for id in (self.spec.mask, self.spec.padding) if id is not None)
        predict = Neighbors((row["ids"] for row in data.encoded), hidden)
        return {"": list(counted(predict, data.batches, self.format.input_name, self.format.both_sides))}
