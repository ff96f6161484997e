"""Language modeling: every token from those before it.

Shapes: B batch, T tokens.
"""

from typing import Any, ClassVar

from torchmetrics import Metric

from framework.data.formats import Batch
from framework.data.spec import DataSpec
from framework.generation.engine import Decode, answer, pad_left
from framework.metrics.ratio import BitsPerByte, Perplexity
from framework.registry import Part, choice, register
from framework.tasks.base import Result, GenerationTask
from framework.tasks.capabilities import Distillable, DistillationOutputs, Exportable
from framework.tasks.cross_entropy import IGNORED, logits_at_targets, row_losses, target_losses


@register("task")
class CompletionTask(GenerationTask, Distillable, Exportable):
    """A decoder that learns to continue text, measured by perplexity and bits per byte. Radford et al. 2019, section 2.

    https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf
    Its figures need no writing; a few rows are written for the reader. Perplexity is that of tokens, `word_perplexity` that of words
    (what blanks part, and line ends), whatever tokens they are made of: Mielke 2019, https://sjmielke.com/comparing-perplexities.htm

    decoding: how text is continued.
    validation_rows: how many validation windows are continued at each validation, spread evenly; null = all.
    test_rows: how many test windows are continued at the end; null = all.
    """

    format: ClassVar[Any] = choice("format", "completion")
    defaults: ClassVar[dict[str, str]] = {
        "model": "gpt_mini",
        "tokenizer": "bpe_2k",
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
        "'decoder' in provided and 'encoder' not in provided": "a text is continued by a model that only looks back: an encoder sees the "
        "tokens to predict, and a decoder that looks at a source has none here"
    }

    hf_task = "text-generation"
    validation_rows: ClassVar[int | None] = 0
    test_rows: ClassVar[int | None] = 3

    def __init__(self, model: Part, spec: DataSpec):
        super().__init__()
        self.spec = spec
        self.model = model(spec=spec)

    def forward(self, batch: Batch) -> Result:
        targets = batch["targets"]
        hidden = self.model(batch["ids"], documents=batch.get("documents"))  # (B, T, D)
        outputs = logits_at_targets(self.model, hidden, targets)
        losses = target_losses(outputs, targets)  # (N,)
        return Result(losses.sum(), (targets != IGNORED).sum(), (outputs, losses))

    def distillation_outputs(self, batch: Batch, result: Result) -> DistillationOutputs:
        return result.output[0]

    def evaluate(self, batch: Batch, decode: Decode) -> tuple[Result, list[dict[str, Any]]]:
        """Nats, tokens, bytes and words of every row; for the rows of the sample also what follows its prompt, or its first half,
        written from that."""
        result = self(batch)
        (_, losses), targets = result.output, batch["targets"]
        counted = {"tokens": (targets != IGNORED).sum(dim=1), "bytes": batch["bytes"].sum(dim=1), "words": batch["words"].sum(dim=1)}
        columns = {"nats": row_losses(losses, targets).tolist(), **{name: count.tolist() for name, count in counted.items()}}
        rows: list[dict[str, Any]] = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        wanted = decode.wanted(batch["row"]).nonzero()[:, 0].tolist()
        if wanted:
            halves = [self._halves(batch, row) for row in wanted]
            longest = max(1, *(len(second) for _, second in halves))
            written = self._write([first for first, _ in halves], batch, decode, longest)
            for row, (first, second), continuation in zip(wanted, halves, written, strict=True):
                rows[row] |= {"input": decode.text(first), "reference": decode.text(second), **continuation}
        return result, rows

    def predict(self, batch: Batch, decode: Decode) -> list[dict[str, Any]]:
        """A continuation of every row. Of a prompt that would leave the model no room to write its last tokens alone are read."""
        room = min(decode.strategy.max_new_tokens or self.spec.max_length, self.spec.max_length // 2)
        prompts = []
        for row in range(len(batch["ids"])):
            ids = self._text(batch, row)
            if "prompt" in batch:
                ids = ids[: int(batch["prompt"][row])] or ids
            elif ids[-1] == self.spec.end:
                ids = ids[:-1] or ids  # the text goes on; one that has not begun yet begins where another ended
            prompts.append(ids[-max(1, self.spec.max_length - room) :])
        column = "prompt" if "prompt" in batch else "text"
        given = [row[column] for row in batch["raw"]] if "raw" in batch else [decode.text(ids) for ids in prompts]
        return [{"input": text, **written} for text, written in zip(given, self._write(prompts, batch, decode), strict=True)]

    def _text(self, batch: Batch, row: int) -> list[int]:
        """The tokens of a row; where documents are packed, of the longest in it."""
        size = int(batch["size"][row])
        ids = [int(batch["ids"][row, 0]), *batch["following"][row, : size - 1].tolist()]
        if "documents" not in batch:
            return ids
        documents = batch["documents"][row, : size - 1]  # of the tokens that are read
        longest = int(documents.bincount().argmax())
        return [id for id, document in zip(ids, documents.tolist(), strict=False) if document == longest]

    def _halves(self, batch: Batch, row: int) -> tuple[list[int], list[int]]:
        """What a row is written from, and what stands there."""
        ids = self._text(batch, row)
        half = int(batch["prompt"][row]) if "prompt" in batch else len(ids) // 2
        return ids[: max(1, half)], ids[max(1, half) :]

    def _write(self, prompts: list[list[int]], batch: Batch, decode: Decode, longest: int | None = None) -> list[dict[str, Any]]:
        prompt, padding_mask = pad_left(prompts, self.spec.padding, batch["ids"].device)
        written = decode(self.model, prompt, padding_mask, longest=longest)
        return [answer(row) for row in written]

    def metrics(self) -> dict[str, Metric]:
        return {"perplexity": Perplexity(), "word_perplexity": Perplexity(), "bits_per_byte": BitsPerByte()}

    def update(self, metrics: dict[str, Metric], rows: list[dict[str, Any]]) -> None:
        nats = [row["nats"] for row in rows]
        for name, counted in (("perplexity", "tokens"), ("word_perplexity", "words"), ("bits_per_byte", "bytes")):
            metrics[name].update(nats, sum(row[counted] for row in rows))
