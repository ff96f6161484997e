"""Language modeling: every token from those before it.

Shapes: B batch, T tokens.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from torchmetrics import Metric

from framework.data.facts import Facts
from framework.data.formats import Batch
from framework.generation.engine import Decode, pad_left
from framework.registry import Part, choice, register
from framework.training.cross_entropy import IGNORED, row_losses, token_losses
from framework.training.ratio_metrics import BitsPerByte, Perplexity
from framework.training.task import Result, WritingTask


@register("task")
class CompletionTask(WritingTask):
    """A decoder that learns to continue text, measured by perplexity and bits per byte. Radford et al. 2019, section 2.

    https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf
    Its figures need no writing; a few rows are written for the reader.

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

    validation_rows: ClassVar[int | None] = 0
    test_rows: ClassVar[int | None] = 3

    def __init__(self, model: Part, facts: Facts):
        super().__init__()
        self.facts = facts
        self.model = model(facts=facts)

    def forward(self, batch: Batch) -> Result:
        targets = batch["targets"]
        losses = token_losses(self.model, self.model(batch["ids"]), targets)  # (N,)
        return Result(losses.sum(), (targets != IGNORED).sum(), losses)

    def evaluate(self, batch: Batch, decode: Decode) -> tuple[Result, list[dict[str, Any]]]:
        """Nats, tokens and bytes of every row; for the rows of the sample also its second half, written from the first."""
        result = self(batch)
        targets = batch["targets"]
        nats, tokens = row_losses(result.output, targets).tolist(), (targets != IGNORED).sum(dim=1).tolist()
        rows = [{"nats": n, "tokens": t, "bytes": b} for n, t, b in zip(nats, tokens, batch["bytes"].sum(dim=1).tolist(), strict=True)]
        wanted = decode.wanted(batch["row"]).nonzero()[:, 0].tolist()
        if wanted:
            texts = self._texts(batch, wanted)
            halves = [(ids[: max(1, len(ids) // 2)], ids[max(1, len(ids) // 2) :]) for ids in texts]
            longest = max(1, *(len(second) for _, second in halves))
            written = self._write([first for first, _ in halves], batch, decode, longest)
            for row, (first, second), continuation in zip(wanted, halves, written, strict=True):
                rows[row] |= {"input": decode.text(first), "reference": decode.text(second), **continuation}
        return result, rows

    def predict(self, batch: Batch, decode: Decode) -> list[dict[str, Any]]:
        """A continuation of every row. Of a prompt that would leave the model no room to write its last tokens alone are read."""
        room = min(decode.strategy.max_length or self.facts.max_length, self.facts.max_length // 2)
        prompts = []
        for ids in self._texts(batch, range(len(batch["ids"]))):
            if ids[-1] == self.facts.end:
                ids = ids[:-1] or ids  # the text goes on; one that has not begun yet begins where another ended
            prompts.append(ids[-max(1, self.facts.max_length - room) :])
        given = [row["text"] for row in batch["raw"]] if "raw" in batch else [decode.text(ids) for ids in prompts]
        return [{"input": text, **written} for text, written in zip(given, self._write(prompts, batch, decode), strict=True)]

    def _texts(self, batch: Batch, rows: Iterable[int]) -> list[list[int]]:
        """The tokens of some rows: the first, then all targets."""
        ids, targets = batch["ids"], batch["targets"]
        return [[int(ids[row, 0]), *targets[row][targets[row] != IGNORED].tolist()] for row in rows]

    def _write(self, prompts: list[list[int]], batch: Batch, decode: Decode, longest: int | None = None) -> list[dict[str, Any]]:
        prompt, real = pad_left(prompts, self.facts.padding, batch["ids"].device)
        written = decode(self.model, prompt, real, longest=longest)
        return [{"prediction": row[0].text, "score": row[0].score} for row in written]

    def metrics(self) -> dict[str, Metric]:
        return {"perplexity": Perplexity(), "bits_per_byte": BitsPerByte()}

    def update(self, metrics: dict[str, Metric], rows: list[dict[str, Any]]) -> None:
        nats = sum(row["nats"] for row in rows)
        metrics["perplexity"].update(nats, sum(row["tokens"] for row in rows))
        metrics["bits_per_byte"].update(nats, sum(row["bytes"] for row in rows))
