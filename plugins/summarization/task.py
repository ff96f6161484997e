"""A long text into a short one."""

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from torchmetrics import Metric

from framework.data.formats import Format, Row
from framework.data.spec import DataSpec
from framework.metrics.rouge import Rouge
from framework.registry import Part, choice, register
from framework.tasks.sequence_to_sequence import SequenceToSequence

from .baseline import extracts


@register("task")
class SummarizationTask(SequenceToSequence):
    """Summarization by an encoder-decoder, measured by ROUGE (0 to 100). Rush et al. 2015, https://aclanthology.org/D15-1044

    label_smoothing: the share of probability taken from the right token and spread over all, in training alone.
    max_ratio, max_extra: a summary is written to at most max_ratio tokens for each of its document's and max_extra more, rounded up
        to a multiple of 32; max_ratio=null = as many as the model can hold.
    references: where a document has several summaries, compare with the `best`, by figure, or take the `mean` over all.
    stem: compare words without their endings (Porter's stemmer), as is usual.
    sentences: what a sentence is in ROUGE-Lsum: a line, as in the package rouge_score, or also what ends in . ! or ?.
    decoding: how summaries are written.
    validation_rows: how many rows of the validation part are summarized at each validation, spread evenly; null = all.
    test_rows: how many rows of the test part are summarized at the end; null = all.
    """

    input: ClassVar[str] = "document"
    reference: ClassVar[str] = "summary"
    format: ClassVar[Any] = choice("format", "summarization")

    def __init__(
        self,
        model: Part,
        spec: DataSpec,
        label_smoothing: float = 0.1,
        max_ratio: float | None = 0.5,
        max_extra: int = 50,
        references: Literal["best", "mean"] = "best",
        stem: bool = True,
        sentences: Literal["lines", "punctuation"] = "lines",
    ):
        super().__init__(model, spec, label_smoothing, max_ratio, max_extra)
        self.measure: dict[str, Any] = {"references": references, "stem": stem, "sentences": sentences}

    def metrics(self) -> dict[str, Metric]:
        return {"rouge": Rouge(**self.measure)}

    def baseline(self, format: Format, train: Iterable[Row], test: Iterable[Row]) -> dict[str, float]:
        return extracts(train, test, Rouge(**self.measure))
