"""Text that is hidden, spoiled or cut off, and told by the model: what any other task can start from.

Shapes: B batch, T tokens, N targets, D model width, V vocabulary.
"""

from typing import Any, ClassVar

from torch import Tensor
from torchmetrics import Metric

from framework.data.formats import Batch
from framework.data.spec import DataSpec
from framework.generation.engine import Decode, pad_left
from framework.metrics.ratio import Perplexity, Ratio
from framework.registry import Part, choice, register
from framework.tasks.base import Result, GenerationTask
from framework.tasks.capabilities import Distillable, DistillationOutputs, Exportable
from framework.tasks.cross_entropy import IGNORED, logits_at_targets, row_losses, target_losses

from .denoising import filled
from .head import token_head

READ = (
    "ids",
    "padding_mask",
    "source",
    "target",
    "source_padding_mask",
)  # what models call what they read; a format gives what its family takes
CANDIDATES = 5  # named for each gap
GAP = "[MASK]"


@register("task")
class PretrainingTask(GenerationTask, Distillable, Exportable):
    """A model that learns from text alone, by telling tokens, measured by accuracy and perplexity over them. Other tasks start from it
    with `model.pretrained=RUN`.

    format: what is done to the text, and so what is told: `masked` for an encoder, `causal` for a decoder, `span_corruption` and
        `infilling` for an encoder-decoder.
    decoding: how text is written, by a model that writes.
    validation_rows: how many validation rows are shown to the reader at each validation, spread evenly; null = all.
    test_rows: how many test rows are shown to the reader at the end; null = all.
    """

    format: ClassVar[Any] = choice("format", "masked")
    defaults: ClassVar[dict[str, str]] = {
        "task/format": "masked_30",
        "model": "bert_micro",
        "tokenizer": "bytes",
        "data": "builtin",
        "data/batches": "packed_2k",
        "optimizer": "muon",
    }
    recipe: ClassVar[dict[str, dict[str, Any]]] = {
        "optimizer": {"lr": 3.0e-3},
        "schedule": {"warmup": 0.05},
        "trainer": {"max_epochs": 1},
    }
    rules: ClassVar[dict[str, str]] = {
        "'pretraining' in provided": "these rows do not say what is to be told; task/format=masked|causal|span_corruption|infilling do",
    }

    validation_rows: ClassVar[int | None] = 0
    test_rows: ClassVar[int | None] = 3

    def __init__(self, model: Part, spec: DataSpec):
        super().__init__()
        self.spec = spec
        self.model = model(spec=spec)
        writes = hasattr(self.model, "logits")
        self.hf_task = "fill-mask" if not writes else "text2text-generation" if hasattr(self.model, "encode") else "text-generation"
        self.head = None if writes else token_head(self.model, spec.vocab_size)

    def forward(self, batch: Batch) -> Result:
        outputs = logits_at_targets(self, self._states(batch), batch["targets"])
        losses = target_losses(outputs, batch["targets"])  # (N,)
        return Result(losses.sum(), (batch["targets"] != IGNORED).sum(), (outputs, losses))

    def distillation_outputs(self, batch: Batch, result: Result) -> DistillationOutputs:
        return result.output[0]

    def _states(self, batch: Batch) -> Tensor:
        return self.model(**{name: batch[name] for name in READ if name in batch})  # (B, T, D)

    def logits(self, hidden: Tensor) -> Tensor:
        """hidden (N, D) -> scores of all tokens (N, V)."""
        return self.model.logits(hidden) if self.head is None else self.head(hidden, self.model.tokens)

    def export_forward(self, batch: Batch) -> Tensor:
        return self.logits(self._states(batch))

    def evaluate(self, batch: Batch, decode: Decode) -> tuple[Result, list[dict[str, Any]]]:
        """Nats, tokens and right answers of every row; for the rows of the sample also what was read and told."""
        result = self(batch)
        (outputs, losses), targets = result.output, batch["targets"]
        predicted = targets.clone()
        predicted[targets != IGNORED] = outputs.logits.argmax(dim=-1)
        counts, right = (targets != IGNORED).sum(dim=1), ((predicted == targets) & (targets != IGNORED)).sum(dim=1)
        figures = zip(row_losses(losses, targets).tolist(), counts.tolist(), right.tolist(), strict=True)
        rows: list[dict[str, Any]] = [{"nats": nats, "tokens": count, "right": hits} for nats, count, hits in figures]
        for row in decode.wanted(batch["row"]).nonzero()[:, 0].tolist():
            shown = targets[row] != IGNORED
            rows[row] |= {
                "input": self._text((batch["source"] if "source" in batch else batch["ids"])[row].tolist(), decode),
                "reference": decode.text(targets[row][shown].tolist()),
                "prediction": decode.text(predicted[row][shown].tolist()),
            }
        return result, rows

    def predict(self, batch: Batch, decode: Decode) -> list[dict[str, Any]]:
        """The text with its gaps filled, or continued. Of one without a gap as much is hidden as in training."""
        if self.head is not None:
            return self._fill(batch, decode)
        encoder_output = None
        if "source" in batch:
            encoder_output = self.model.encode(batch["source"], batch["source_padding_mask"])
            read, prompt, padding_mask = batch["source"].tolist(), batch["target"][:, :1], None
        else:
            read = [self._prompt(ids, targets) for ids, targets in zip(batch["ids"], batch["targets"], strict=True)]
            prompt, padding_mask = pad_left(read, self.spec.padding, batch["ids"].device)
        written = [row[0] for row in decode(self.model, prompt, padding_mask, encoder_output=encoder_output)]
        rows = []
        for ids, found in zip(read, written, strict=True):
            text = decode.text(filled(ids, found.ids, self.spec.special_ids)) if self.spec.special_ids else found.text
            rows.append({"input": self._text(ids, decode), "prediction": text, "score": found.score})
        return rows

    def _fill(self, batch: Batch, decode: Decode) -> list[dict[str, Any]]:
        """Every gap on its own, with the likeliest token; `gaps` names the likeliest few and their probabilities."""
        hidden, rows = self._states(batch), []
        for ids, states in zip(batch["ids"], hidden, strict=True):
            gap = ids == self.spec.mask
            scores, best = self.logits(states[gap]).float().softmax(dim=-1).topk(min(CANDIDATES, self.spec.vocab_size))
            named = [
                [{"text": decode.text([id]), "score": score} for id, score in zip(*row, strict=True)]
                for row in zip(best.tolist(), scores.tolist(), strict=True)
            ]
            whole = ids.masked_scatter(gap, best[:, 0]).tolist()
            rows.append({"input": self._text(ids.tolist(), decode), "prediction": decode.text(whole), "gaps": named})
        return rows

    def _prompt(self, ids: Tensor, targets: Tensor) -> list[int]:
        """The tokens of a text that is to go on: the first, and what it was followed by; the last half of what the model reads at most,
        so that there is room to write."""
        text = [int(ids[0]), *targets[targets != IGNORED].tolist()]
        text = text[:-1] if text[-1] == self.spec.end and len(text) > 1 else text
        return text[-max(1, self.spec.max_length // 2) :]

    def _text(self, ids: list[int], decode: Decode) -> str:
        """Read tokens as text, gaps to be seen."""
        gaps = {self.spec.mask, *self.spec.special_ids}
        pieces: list[list[int]] = [[]]
        for id in ids:
            if id in gaps:
                pieces.append([])
            else:
                pieces[-1].append(id)
        return f" {GAP} ".join(decode.text(piece).strip(" ") for piece in pieces)

    def metrics(self) -> dict[str, Metric]:
        return {"accuracy": Ratio(), "perplexity": Perplexity()}

    def update(self, metrics: dict[str, Metric], rows: list[dict[str, Any]]) -> None:
        tokens = sum(row["tokens"] for row in rows)
        metrics["accuracy"].update(sum(row["right"] for row in rows), tokens)
        metrics["perplexity"].update([row["nats"] for row in rows], tokens)
