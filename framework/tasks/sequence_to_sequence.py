"""What every task that rewrites one text as another shares: teacher forcing, decoding, BLEU and chrF.

Shapes: B batch, S source length, T target length.
"""

import math
from collections.abc import Iterator
from itertools import groupby
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric

from framework.data.formats import Batch
from framework.data.spec import DataSpec
from framework.generation.engine import Decode, answer, evaluating
from framework.metrics.bleu import Bleu, Chrf
from framework.registry import Part
from framework.tasks.base import Result, GenerationTask
from framework.tasks.capabilities import Distillable, DistillationOutputs, Exportable
from framework.tasks.cross_entropy import IGNORED, logits_at_targets, target_losses

ROWS_WRITTEN_TOGETHER = 64
ROUNDED_TO = 32  # tokens


class SequenceToSequence(GenerationTask, Distillable, Exportable):
    """An encoder-decoder that reads a source and writes a target.

    A batch has: source (B, S), source_padding_mask (B, S) or None, target (B, T) as the decoder reads it (the begin token first; without
    references nothing else) and labels (B, T) as it should write it (the end token last; -100 = padding).

    input, reference: the columns of a row that are read and to be written.
    label_smoothing: the share of probability taken from the right token and spread over all, in training alone.
    max_ratio, max_extra: a text is written to at most max_ratio tokens for each of its source's and max_extra more, rounded up to
        a multiple of 32; max_ratio=null = as many as the model can hold. Input length + 50: Vaswani et al. 2017, section 6.1.
    """

    hf_task = "text2text-generation"
    input: ClassVar[str] = "source"
    reference: ClassVar[str] = "target"
    rules: ClassVar[dict[str, str]] = {
        "'cross' in provided": "the written text must look at the source: the model needs an encoder and a decoder with cross-attention",
        "0 <= label_smoothing < 1": "label_smoothing is the share of probability taken from the right token",
        "max_ratio is None or max_ratio >= 0": "max_ratio is how many tokens may be written for each that is read",
        "max_extra >= 1": "max_extra is how many tokens may be written whatever is read",
    }

    def __init__(self, model: Part, spec: DataSpec, label_smoothing: float = 0.1, max_ratio: float | None = 1.0, max_extra: int = 50):
        super().__init__()
        self.spec = spec
        self.label_smoothing, self.max_ratio, self.max_extra = label_smoothing, max_ratio, max_extra
        self.model = model(spec=spec)

    def forward(self, batch: Batch) -> Result:
        return self._loss(batch, self.label_smoothing)

    def _loss(self, batch: Batch, label_smoothing: float) -> Result:
        hidden = self.model(batch["source"], batch["target"], batch["source_padding_mask"])  # (B, T, D)
        outputs = logits_at_targets(self.model, hidden, batch["labels"])
        loss = target_losses(outputs, batch["labels"], label_smoothing).sum()
        return Result(loss, (batch["labels"] != IGNORED).sum(), outputs)

    def distillation_outputs(self, batch: Batch, result: Result) -> DistillationOutputs:
        return result.output

    def evaluate(self, batch: Batch, decode: Decode) -> tuple[Result, list[dict[str, Any]]]:
        """The loss without smoothing, so that it compares between runs, and the rows of the sample."""
        wanted = decode.wanted(batch["row"]).nonzero()[:, 0]
        rows = self._write(batch, decode, wanted)
        for row, number in zip(rows, wanted.tolist(), strict=True):
            row["reference"] = batch["raw"][number][self.reference]
        return self._loss(batch, label_smoothing=0.0), rows

    def predict(self, batch: Batch, decode: Decode) -> list[dict[str, Any]]:
        return self._write(batch, decode, torch.arange(len(batch["source"]), device=batch["source"].device))

    def _write(self, batch: Batch, decode: Decode, wanted: Tensor) -> list[dict[str, Any]]:
        """What is written for the wanted rows, in their order. Rows of like length are written together: less padding to look at."""
        if not len(wanted):
            return []
        model: Any = self.model
        source, padding_mask = batch["source"], batch["source_padding_mask"]
        lengths = torch.full_like(source[:, 0], source.shape[1]) if padding_mask is None else padding_mask.sum(dim=1)
        rows: dict[int, dict[str, Any]] = {}
        with torch.inference_mode(), evaluating(model):
            for limit, group in self._groups(wanted, lengths):
                width = int(lengths[group].max())
                encoder_output = model.encode(source[group, :width], None if padding_mask is None else padding_mask[group, :width])
                found = decode(model, batch["target"][group, :1], encoder_output=encoder_output, longest=limit)
                for number, written in zip(group.tolist(), found, strict=True):
                    rows[number] = {"input": self._input(batch, number, decode), **answer(written)}
        return [rows[number] for number in wanted.tolist()]

    def _groups(self, wanted: Tensor, lengths: Tensor) -> Iterator[tuple[int | None, Tensor]]:
        """The wanted rows by length, a few at a time, and how many tokens may be written for each. A row's limit is its own, whatever
        stands beside it."""
        ordered = wanted[lengths[wanted].argsort(stable=True)]
        limits = [self._limit(length) for length in lengths[ordered].tolist()]
        start = 0
        for limit, alike in groupby(limits):
            stop = start + len(list(alike))
            yield from ((limit, group) for group in ordered[start:stop].split(ROWS_WRITTEN_TOGETHER))
            start = stop

    def _limit(self, length: int) -> int | None:
        """Rounded up, so that many rows have the same one and are written together."""
        if self.max_ratio is None:
            return None
        return min(math.ceil((self.max_ratio * length + self.max_extra) / ROUNDED_TO) * ROUNDED_TO, self.spec.max_length)

    def _input(self, batch: Batch, number: int, decode: Decode) -> str:
        if "raw" in batch:
            return batch["raw"][number][self.input]
        return decode.text(batch["source"][number].tolist())

    def metrics(self) -> dict[str, Metric]:
        return {"bleu": Bleu(), "chrf": Chrf()}

    def update(self, metrics: dict[str, Metric], rows: list[dict[str, Any]]) -> None:
        for metric in metrics.values():
            metric.update([row["prediction"] for row in rows], [row["reference"] for row in rows])
