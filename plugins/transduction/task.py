"""Transduction: one right output for each input.

Shapes: B batch, S tokens of the source, T tokens of the target, N targets (not ignored), D model width, V vocabulary.
"""

from collections.abc import Iterable, Mapping, Sequence
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
    Format,
    GenerationTask,
    Part,
    Result,
    Row,
    at_targets,
    choice,
    generated_row,
    logits_at_targets,
    name_of,
    pad_left,
    register,
    row_losses,
    target_losses,
)

from .baseline import compared, longest_suffix
from .defaults import TransductionDefaults
from .joining import joined

if TYPE_CHECKING:
    from torchmetrics import Metric  # imported where metrics are made: takes a second


@register("task")
class TransductionTask(GenerationTask, Distillable):
    """One right output for each input, by an encoder-decoder or a decoder, measured by exact match, over all rows and by kind or length.

    What a part of a model can do shows here: generated problems of chosen lengths (`task.format.problem`), and data for compositional
    generalization, such as SCAN (Lake and Baroni 2018, https://arxiv.org/abs/1711.00350) and COGS (Kim and Linzen 2020,
    https://aclanthology.org/2020.emnlp-main.731).

    A decoder reads the input, the token that begins outputs, and the output; the loss is that of the output alone. A row is right if the
    model's likeliest token is right at each place of the output, after the right tokens before it: so it is if, and only if, greedy
    decoding writes the output. Figures need no generation; a few rows are decoded for the reader.

    label_smoothing: share of the target's probability that is spread over the vocabulary, in training alone.
    """

    format = choice("format", "transduction")
    defaults = TransductionDefaults()
    rules: ClassVar[dict[str, str]] = {
        "'decoder' in provided": "an output is written by a decoder: choose model=decoder_only, encoder_decoder, or a preset of one",
        "0 <= label_smoothing < 1": "label_smoothing must be in [0, 1)",
    }
    reads = ("source", "source_padding_mask", "target", "labels", "size")
    validation_rows: ClassVar[int | None] = 0
    test_rows: ClassVar[int | None] = 3

    def __init__(self, model: Part, spec: DataSpec, format: Format, label_smoothing: float = 0.0):
        super().__init__(model, spec, format)
        self.label_smoothing = label_smoothing
        self.has_encoder = hasattr(self.model, "encode")

    def forward(self, batch: Batch) -> Result:
        return self._result(batch, self.label_smoothing)

    def _result(self, batch: Batch, label_smoothing: float) -> Result:
        labels, places = batch["labels"], batch.get("target_places")
        outputs = logits_at_targets(self.model, self._hidden(batch), labels, places)
        return Result.of(target_losses(outputs, labels, label_smoothing, places), outputs)

    def _hidden(self, batch: Batch) -> Tensor:
        """Hidden states (B, T, D) of the target."""
        source, source_mask, target = batch["source"], batch["source_padding_mask"], batch["target"]
        is_token = torch.arange(target.shape[1], device=target.device) < batch["size"][:, None]  # (B, T)
        if self.has_encoder:
            hidden: Tensor = self.model(source, target, source_mask, is_token)
            return hidden
        sequence = joined(source, source_mask, target, is_token)
        return sequence.of_target(self.model(sequence.ids, sequence.padding_mask, padding_side="right"))

    def distillation_outputs(self, batch: Batch, result: Result) -> DistillationOutputs:
        outputs: DistillationOutputs = result.output
        return outputs

    def evaluate(self, batch: Batch, decode: Decode) -> tuple[Result, list[dict[str, Any]]]:
        """The numbers of right tokens and of all of every row, and the outputs of the selected ones."""
        result = self._result(batch, label_smoothing=0.0)
        labels, raw = batch["labels"], batch["@rows"].raw
        likeliest = result.output.logits.argmax(dim=-1)  # (N,)
        right = row_losses((likeliest == at_targets(labels, labels, batch.get("target_places"))).float(), labels)
        tokens = (labels != IGNORED).sum(dim=1)
        rows: list[dict[str, Any]] = [
            {"right": round(number), "tokens": all_tokens, "kind": kind_of(row)}
            for number, all_tokens, row in zip(right.tolist(), tokens.tolist(), raw, strict=True)
        ]
        wanted = decode.wanted(batch["@rows"].numbers)
        for place, texts in zip(wanted, self._outputs(batch, decode, wanted, likeliest), strict=True):
            rows[place] |= {"input": raw[place]["input"], "reference": self._text(labels[place], decode), **texts}
        return result, rows

    def _outputs(self, batch: Batch, decode: Decode, wanted: Sequence[int], likeliest: Tensor) -> list[dict[str, Any]]:
        """The outputs of some rows. One with given tokens is not decoded, since it cannot be written without them: `likeliest` are the
        likeliest tokens (N,) at its targets."""
        labels, raw = batch["labels"], batch["@rows"].raw
        decoded = [place for place in wanted if not raw[place].get("given")]
        texts = dict(zip(decoded, self._generate(batch, decode, decoded), strict=True))
        predicted = torch.full_like(labels, IGNORED).masked_scatter(labels != IGNORED, likeliest)  # (B, T)
        return [texts[place] if place in texts else {"likeliest": self._text(predicted[place], decode)} for place in wanted]

    def _text(self, ids: Tensor, decode: Decode) -> str:
        kept = [id for id in ids.tolist() if id != IGNORED]
        return decode.text(kept[: kept.index(self.spec.end)] if self.spec.end in kept else kept)

    def predict(self, batch: Batch, decode: Decode) -> list[dict[str, Any]]:
        """An output for each input."""
        raw, inputs = batch["@rows"].raw, batch["source"].tolist()
        rows = self._generate(batch, decode, range(len(inputs)))
        texts = [decode.text(ids) for ids in inputs] if raw is None else [row["input"] for row in raw]
        return [{"input": text, **row} for text, row in zip(texts, rows, strict=True)]

    def _generate(self, batch: Batch, decode: Decode, wanted: Sequence[int]) -> list[dict[str, Any]]:
        if not wanted:
            return []
        places = torch.tensor(list(wanted), device=batch["source"].device)
        source, mask = batch["source"][places], batch["source_padding_mask"]
        mask = None if mask is None else mask[places]
        if self.has_encoder:
            encoded = self.model.encode(source, mask)
            return [generated_row(texts) for texts in decode(self.model, batch["target"][places, :1], encoder_output=encoded)]
        prompts = [row if mask is None else row[mask[number]] for number, row in enumerate(source)]
        ids, padding_mask = pad_left([[*row.tolist(), self.spec.decoder_start] for row in prompts], self.spec.padding, source.device)
        return [generated_row(texts) for texts in decode(self.model, ids, padding_mask)]

    def metrics(self) -> dict[str, "Metric"]:
        from .metrics import ExactMatch

        return {"match": ExactMatch()}

    def update(self, metrics: dict[str, "Metric"], rows: list[dict[str, Any]]) -> None:
        columns = ([row[name] for row in rows] for name in ("right", "tokens", "kind"))
        metrics["match"].update(*columns)

    def hints(self, config: Mapping[str, Any]) -> Iterable[str]:
        yield "model/position=relative: distances instead of places, which longer inputs share"
        yield "trainer.max_epochs=N: systematic data needs many epochs more than its loss suggests"

    def baseline(self, data: BaselineData) -> Baseline:
        """The output of the training rows whose inputs end most alike."""
        pairs = longest_suffix(data.train, data.test)
        return {"": [{**compared(row, output), "kind": kind_of(row)} for row, output in pairs]}


def kind_of(row: Row) -> str:
    """The name of the group in which a row is counted, as it stands in the names of figures: its `kind`, or the number of words of its
    output."""
    if row.get("kind") is None:
        return f"length_{len(row['output'].split())}"
    return "_".join(name_of(row["kind"]).split())
