"""Language modeling: every token from those before it.

Shapes: B batch, T tokens.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
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
    Row,
    at_targets,
    choice,
    generated_row,
    logits_at_targets,
    pad_left,
    register,
    row_losses,
    target_losses,
)

from .baseline import order_three
from .defaults import CompletionDefaults
from .ngrams import NgramLogits

if TYPE_CHECKING:
    from torchmetrics import Metric  # imported where metrics are made: takes a second


@register("task")
class CompletionTask(GenerationTask, Distillable, Exportable):
    """A decoder that continues text, measured by perplexity and bits per byte. Radford et al. 2019, section 2.

    https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf

    ngrams: tokens of the longest n-grams that are counted in the training rows, and whose log-probabilities are added to the logits; 0 =
        none are. Little text suffices for them; of more than five million tokens the first are counted. Li et al. 2022,
        https://arxiv.org/abs/2210.14431
    ngram_buckets: entries of the table of their counts; 16 for each token of the training rows keep nearly all n-grams apart.

    Its metrics need no generation; a few rows are continued for the reader. `perplexity` is that of tokens, `word_perplexity` that of words
    (separated by blanks; line ends are words), whatever the tokenizer: Mielke 2019, https://sjmielke.com/comparing-perplexities.htm
    """

    format = choice("format", "completion")
    rules: ClassVar[dict[str, str]] = {
        "'decoder' in provided and 'encoder' not in provided": "a text is continued by a decoder; choose model=decoder_only "
        "or a preset of it",
        "ngrams == 0 or 2 <= ngrams <= 16": "ngrams must be from 2 to 16, or 0, which counts none",
        "1 <= ngram_buckets <= 2**30": "ngram_buckets must be from 1 to 2**30",
    }

    defaults = CompletionDefaults()
    hf_task = "text-generation"
    reads = ("ids", "following", "targets", "size", "bytes", "words")
    read_in_evaluation = ("following", "bytes", "words")
    validation_rows: ClassVar[int | None] = 0
    test_rows: ClassVar[int | None] = 3

    def __init__(self, model: Part, spec: DataSpec, format: Format, ngrams: int = 0, ngram_buckets: int = 2**20):
        super().__init__(model, spec, format)
        self.ngrams = NgramLogits(spec.vocab_size, ngrams, ngram_buckets) if ngrams else None
        if ngrams:
            self.unexportable = (
                f"no published layout and no program has the n-grams of this run (task.ngrams={ngrams}): train with task.ngrams=0; "
                "to=safetensors keeps them"
            )

    def set_initial_weights(self, rows: Iterable[Row], batches: Iterable[Batch]) -> None:
        if self.ngrams is not None:
            self.ngrams.count(batches)

    def logits_with_ngrams(self, logits: Tensor, ids: Tensor, padding_mask: Tensor | None) -> Tensor:
        """Logits (R, V) of the tokens after ids (R, N), with the log-probabilities of n-grams."""
        assert self.ngrams is not None
        last = slice(1 - self.ngrams.longest, None)  # the longest context
        mask = None if padding_mask is None else padding_mask[:, last]
        return self.ngrams(logits, self.ngrams.contexts(ids[:, last], padding_mask=mask)[:, -1])

    def forward(self, batch: Batch) -> Result:
        targets = batch["targets"]
        is_token = torch.arange(batch["ids"].shape[1], device=targets.device) < (batch["size"] - 1).clamp(min=1)[:, None]  # (B, T)
        hidden = self.model(batch["ids"], is_token, documents=batch.get("documents"), padding_side="right")  # (B, T, D)
        places = batch.get("target_places")
        outputs = logits_at_targets(self.model, hidden, targets, places)
        if self.ngrams is not None:
            contexts = at_targets(self.ngrams.contexts(batch["ids"], batch.get("documents")), targets, places)  # (N, K)
            left_out = at_targets(targets, targets, places) if self.training else None
            outputs = replace(outputs, logits=self.ngrams(outputs.logits, contexts, left_out))
        losses = target_losses(outputs, targets, places=places)  # (N,)
        return Result.of(losses, (outputs, losses))

    def distillation_outputs(self, batch: Batch, result: Result) -> DistillationOutputs:
        return result.output[0]

    def evaluate(self, batch: Batch, decode: Decode) -> tuple[Result, list[dict[str, Any]]]:
        """Nats, tokens, bytes and words of every row, and continuations of the selected rows: of their prompts, as in prediction, or of the
        first half of running text, as long as the second one."""
        result = self(batch)
        (_, losses), targets = result.output, batch["targets"]
        counted = {"tokens": (targets != IGNORED).sum(dim=1), "bytes": batch["bytes"].sum(dim=1), "words": batch["words"].sum(dim=1)}
        columns = {"nats": row_losses(losses, targets).tolist(), **{name: count.tolist() for name, count in counted.items()}}
        rows: list[dict[str, Any]] = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        wanted = decode.wanted(batch["@rows"].numbers)
        if wanted:
            halves = [self._halves(batch, row) for row in wanted]
            if "prompt" in batch:
                continuations = self._generate(self._prompts(batch, decode, wanted), batch, decode)
            else:
                longest = [max(1, len(second)) for _, second in halves]
                continuations = self._generate([first for first, _ in halves], batch, decode, longest)
            for row, (first, second), continuation in zip(wanted, halves, continuations, strict=True):
                rows[row] |= {"input": decode.text(first), "reference": decode.text(second), **continuation}
        return result, rows

    def predict(self, batch: Batch, decode: Decode) -> list[dict[str, Any]]:
        """A continuation of every row."""
        prompts = self._prompts(batch, decode, range(len(batch["ids"])))
        column, raw = "prompt" if "prompt" in batch else "text", batch["@rows"].raw or [{} for _ in prompts]
        inputs = [row[column] if column in row else decode.text(ids) for row, ids in zip(raw, prompts, strict=True)]
        return [{"input": text, **row} for text, row in zip(inputs, self._generate(prompts, batch, decode), strict=True)]

    def _prompts(self, batch: Batch, decode: Decode, rows: Iterable[int]) -> list[list[int]]:
        """Token ids of the prompts of some rows. A prompt that would leave no room for new tokens is cut to its last tokens."""
        room = min(decode.strategy.max_new_tokens or self.spec.max_length, self.spec.max_length // 2)
        prompts = []
        for row in rows:
            ids = self._ids(batch, row)
            if "prompt" in batch:
                ids = ids[: int(batch["prompt"][row])] or ids
            elif ids[-1] == self.spec.end:
                ids = ids[:-1] or ids  # the text continues; an empty one begins after the end of another
            prompts.append(ids[-max(1, self.spec.max_length - room) :])
        return prompts

    def _ids(self, batch: Batch, row: int) -> list[int]:
        """The tokens of a row; of packed documents those of the longest."""
        size = int(batch["size"][row])
        ids = [int(batch["ids"][row, 0]), *batch["following"][row, : size - 1].tolist()]
        if "documents" not in batch:
            return ids
        documents = batch["documents"][row, : size - 1]  # of the inputs
        longest = int(documents.bincount().argmax())
        return [id for id, document in zip(ids, documents.tolist(), strict=False) if document == longest]

    def _halves(self, batch: Batch, row: int) -> tuple[list[int], list[int]]:
        """The prompt of a row and its reference."""
        ids = self._ids(batch, row)
        half = int(batch["prompt"][row]) if "prompt" in batch else len(ids) // 2
        return ids[: max(1, half)], ids[max(1, half) :]

    def _generate(
        self, prompts: list[list[int]], batch: Batch, decode: Decode, longest: Sequence[int] | None = None
    ) -> list[dict[str, Any]]:
        prompt, padding_mask = pad_left(prompts, self.spec.padding, batch["ids"].device)
        processor = None if self.ngrams is None else lambda logits, prefixes: self.logits_with_ngrams(logits, *prefixes.ids())
        texts = decode(self.model, prompt, padding_mask, longest=longest, logits_processor=processor)
        return [generated_row(row) for row in texts]

    def metrics(self) -> dict[str, "Metric"]:
        from framework import BitsPerByte, Perplexity

        return {"perplexity": Perplexity(), "word_perplexity": Perplexity(), "bits_per_byte": BitsPerByte()}

    def update(self, metrics: dict[str, "Metric"], rows: list[dict[str, Any]]) -> None:
        nats = [row["nats"] for row in rows]
        for name, counted in (("perplexity", "tokens"), ("word_perplexity", "words"), ("bits_per_byte", "bytes")):
            metrics[name].update(nats, [row[counted] for row in rows])

    def hints(self, config: Mapping[str, Any]) -> Iterator[str]:
        if self.ngrams is None:
            yield "task.ngrams=4: counts of n-grams join the probabilities of the model"

    def baseline(self, data: BaselineData) -> Baseline:
        """A byte model of order 3."""
        column = self.format.columns[-1]  # text, or completion
        train, test = ([row[column] for row in rows] for rows in (data.train, data.test))
        return {"bits_per_byte": order_three(train, test)} if all(isinstance(text, str) for text in test) else {}
