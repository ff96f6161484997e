"""Sequence-to-sequence tasks: teacher forcing, generation, BLEU and chrF.

Shapes: B batch, S source length, T target length.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from framework.data.formats import Batch, Row
from framework.data.pairs import PairFormat
from framework.data.spec import DataSpec
from framework.data.targets import IGNORED
from framework.generation.engine import Decode, LogitsProcessor, Prefixes, evaluating, generated_row
from framework.parts.caches import EncoderOutput
from framework.registry import Part
from framework.tasks.base import GenerationTask, Result
from framework.tasks.capabilities import Distillable, DistillationOutputs, Exportable
from framework.tasks.cross_entropy import at_targets, logits_at_targets, target_losses
from framework.tasks.pointer import SourcePointer
from framework.tasks.target_ngrams import TargetNgrams

if TYPE_CHECKING:
    from torchmetrics import Metric  # imported where metrics are made: takes a second

GROUP_SIZE = 64  # rows that are generated together
ROUNDED_TO = 32  # tokens
COPIED_SLOPE = 0.2  # of a pointer that copies: a summary is shorter than its source, so places tell less than in a translation
COUNTED = 5_000_000  # tokens of the first targets, padding included, in which something is counted at most


class SequenceToSequence(GenerationTask, Distillable, Exportable):
    """An encoder-decoder from a source text to a target text. The format is a PairFormat.

    A batch has: source (B, S), source_padding_mask (B, S) or None, target (B, T), the input of the decoder (the start token first; without
    references nothing else), labels (B, T), its targets (the end token last; -100 = padding), and target_places (N,), where the targets
    are.

    label_smoothing: share of the target's probability that is spread over the vocabulary, in training alone.
    copy: whether tokens of the source can also be copied to the target, as names in summaries: See et al. 2017,
        https://arxiv.org/abs/1704.04368
    ngrams: tokens of the longest n-grams of the targets that are counted in the training rows, and whose log-probabilities are added to
        the logits; 0 = none are.
    ngram_entries: n-grams that are kept at most.
    max_ratio, max_extra: a target has at most max_ratio tokens for each of its source's, and max_extra more, rounded up to a multiple
        of 32; max_ratio=null = as many as the model takes. Input length + 50: Vaswani et al. 2017, section 6.1.

    >>> class ReverseTask(SequenceToSequence):
    ...     input, reference = "text", "reversed"
    >>> sorted(ReverseTask.metrics(None))
    ['bleu', 'chrf']
    """

    hf_task = "text2text-generation"
    reads = ("source", "source_padding_mask", "target", "labels")
    rules: ClassVar[dict[str, str]] = {
        "'cross' in provided": "this task needs an encoder-decoder; choose model=encoder_decoder or a preset of it",
        "0 <= label_smoothing < 1": "label_smoothing must be in [0, 1)",
        "max_ratio is None or max_ratio >= 0": "max_ratio must not be negative",
        "ngrams == 0 or 2 <= ngrams <= 4": "ngrams must be 2, 3 or 4, or 0, which counts none",
        "1 <= ngram_entries <= 2**26": "ngram_entries must be from 1 to 2**26",
        "max_extra >= 1": "max_extra must be at least 1",
    }

    def __init__(
        self,
        model: Part,
        spec: DataSpec,
        format: PairFormat,
        label_smoothing: float = 0.1,
        max_ratio: float | None = 1.0,
        max_extra: int = 50,
        copy: bool = False,
        ngrams: int = 0,
        ngram_entries: int = 2**16,
    ):
        super().__init__(model, spec, format)
        self.label_smoothing, self.max_ratio, self.max_extra = label_smoothing, max_ratio, max_extra
        self.pointer: SourcePointer | None = None
        if copy:
            self.point("task.copy=false", slope=COPIED_SLOPE)
        self.ngrams: TargetNgrams | None = None
        if ngrams:
            self.ngrams = TargetNgrams(spec.vocab_size, ngrams, ngram_entries)
            self.only_here(f"n-grams of this run (task.ngrams={ngrams})", "task.ngrams=0")

    def point(self, without: str, **options: Any) -> None:
        """Adds a pointer to the source. without: the option that leaves it out. options: of `SourcePointer`."""
        self.pointer = SourcePointer(self.model.dim, self.spec.vocab_size, **options)
        self.only_here("pointer to the source of this run", without)

    def only_here(self, what: str, without: str) -> None:
        self.unexportable = f"no published layout and no program has the {what}: train with {without}; to=safetensors keeps it"

    def set_initial_weights(self, rows: Iterable[Row], batches: Iterable[Batch]) -> None:
        if self.pointer is not None or self.ngrams is not None:
            self.count(list(first_batches(batches)))

    def count(self, batches: Sequence[Batch]) -> None:
        """Sets weights that are counted in the first training rows."""
        if self.ngrams is not None:
            self.ngrams.count(self._contexts(self.ngrams, batch) for batch in batches)

    def _contexts(self, ngrams: TargetNgrams, batch: Batch) -> tuple[Tensor, Tensor]:
        """The keys (N, K) of the contexts of the targets, and the targets (N,)."""
        labels, places = batch["labels"], batch.get("target_places")
        return at_targets(ngrams.keys(batch["target"]), labels, places), at_targets(labels, labels, places)

    def forward(self, batch: Batch) -> Result:
        return self._loss(batch, self.label_smoothing)

    def _loss(self, batch: Batch, label_smoothing: float) -> Result:
        is_target = batch["labels"] != IGNORED
        places = batch.get("target_places")
        if self.pointer is None:
            hidden = self.model(batch["source"], batch["target"], batch["source_padding_mask"], is_target)  # (B, T, D)
            outputs = logits_at_targets(self.model, hidden, batch["labels"], places)
        else:
            encoded = self.model.encode(batch["source"], batch["source_padding_mask"])
            hidden = self.model.decode_whole(batch["target"], encoded, is_target)  # (B, T, D)
            outputs = logits_at_targets(self.model, hidden, batch["labels"], places)
            outputs = self._pointed(self.pointer, outputs, hidden, encoded, batch)
        if self.ngrams is not None:
            keys, targets = self._contexts(self.ngrams, batch)
            outputs = replace(outputs, logits=outputs.logits + self.ngrams(keys, targets if self.training else None))
        loss = target_losses(outputs, batch["labels"], label_smoothing, places).sum()
        return Result(loss, is_target.sum(), outputs)

    def _pointed(
        self, pointer: SourcePointer, outputs: DistillationOutputs, hidden: Tensor, encoded: EncoderOutput, batch: Batch
    ) -> DistillationOutputs:
        """The outputs with the pointer in their logits."""
        labels, places, source = batch["labels"], batch.get("target_places"), pointer.source(batch["source"], encoded)
        attention = at_targets(pointer.attention(hidden, source, batch["target"]), labels, places)  # (N, S)
        rows = torch.arange(len(labels), device=labels.device)[:, None].expand_as(labels)  # (B, T)
        of_targets = source[at_targets(rows, labels, places)]
        return replace(outputs, logits=pointer(outputs.logits, attention, of_targets.ids, of_targets.lexicons))

    def distillation_outputs(self, batch: Batch, result: Result) -> DistillationOutputs:
        return result.output

    def evaluate(self, batch: Batch, decode: Decode) -> tuple[Result, list[dict[str, Any]]]:
        """The loss without label smoothing, so that it compares between runs, and the selected rows."""
        wanted = decode.wanted(batch["@rows"].numbers)
        rows = self._generate(batch, decode, wanted)
        for row, number in zip(rows, wanted, strict=True):
            row["reference"] = batch["@rows"].raw[number][self.format.columns[1]]
        return self._loss(batch, label_smoothing=0.0), rows

    def predict(self, batch: Batch, decode: Decode) -> list[dict[str, Any]]:
        return self._generate(batch, decode, range(len(batch["source"])))

    def _generate(self, batch: Batch, decode: Decode, wanted: Sequence[int]) -> list[dict[str, Any]]:
        """The generated texts of the wanted rows, in their order. Rows of similar length are generated together, with less padding."""
        model: Any = self.model
        source, padding_mask = batch["source"], batch["source_padding_mask"]
        lengths = torch.full_like(source[:, 0], source.shape[1]) if padding_mask is None else padding_mask.sum(dim=1)
        rows: dict[int, dict[str, Any]] = {}
        with torch.inference_mode(), evaluating(model):
            for limit, group in self._groups(torch.tensor(wanted, device=source.device), lengths):
                width = int(lengths[group].max())
                encoder_output = model.encode(source[group, :width], None if padding_mask is None else padding_mask[group, :width])
                processor = self.logits_processor(source[group, :width], encoder_output)
                start = batch["target"][group, :1]
                generated = decode(model, start, encoder_output=encoder_output, longest=limit, logits_processor=processor)
                for number, texts in zip(group.tolist(), generated, strict=True):
                    rows[number] = {"input": self._input(batch, number, decode), **generated_row(texts)}
        return [rows[number] for number in wanted]

    def logits_processor(self, ids: Tensor, encoded: EncoderOutput) -> LogitsProcessor | None:
        """The logits processor that adds the pointer to source ids (B, S), and the n-grams, to the logits; None without them."""
        if self.pointer is None and self.ngrams is None:
            return None
        pointer, ngrams = self.pointer, self.ngrams
        source = None if pointer is None else pointer.source(ids, encoded)

        def process(logits: Tensor, prefixes: Prefixes) -> Tensor:
            targets = prefixes.ids()[0]  # (R, 1 + T)
            if pointer is not None and source is not None:
                own = source[prefixes.running.source]
                attention = pointer.attention(prefixes.hidden[:, None], own, targets[:, -1:], targets.shape[1] - 1)[:, 0]  # (R, S)
                logits = pointer(logits, attention, own.ids, own.lexicons)
            return logits if ngrams is None else logits + ngrams(ngrams.keys(targets)[:, -1])

        return process

    def _groups(self, wanted: Tensor, lengths: Tensor) -> Iterator[tuple[int | None, Tensor]]:
        """The wanted rows by length, a few at a time, and how many tokens may be generated for each. The limit of a row does not depend on
        the others."""
        known = lengths.tolist()
        ordered = sorted(wanted.tolist(), key=known.__getitem__)
        for limit, same in groupby(ordered, key=lambda row: self._limit(known[row])):
            yield from ((limit, group) for group in torch.tensor(list(same), device=wanted.device).split(GROUP_SIZE))

    def _limit(self, length: int) -> int | None:
        """Rounded up, so that many rows have the same limit and are generated together."""
        if self.max_ratio is None:
            return None
        return min(math.ceil((self.max_ratio * length + self.max_extra) / ROUNDED_TO) * ROUNDED_TO, self.spec.max_length)

    def _input(self, batch: Batch, number: int, decode: Decode) -> str:
        if "@rows" in batch and batch["@rows"].raw is not None:
            return batch["@rows"].raw[number][self.format.columns[0]]
        return decode.text(batch["source"][number].tolist())

    def hints(self, config: Mapping[str, Any]) -> Iterator[str]:
        if config["task"]["decoding"]["part"] == "decoding/greedy":
            yield "task/decoding=beam_5: a search of five hypotheses instead of the likeliest token at a time"

    def metrics(self) -> dict[str, "Metric"]:
        from framework.metrics.bleu import Bleu, Chrf

        return {"bleu": Bleu(), "chrf": Chrf()}


def first_batches(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The first batches, until their targets have COUNTED tokens."""
    read = 0
    for batch in batches:
        yield batch
        read += batch["labels"].numel()
        if read >= COUNTED:
            return
