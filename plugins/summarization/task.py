"""Abstractive summarization."""

from typing import TYPE_CHECKING, Any, Literal

from framework import Baseline, BaselineData, SequenceToSequence, choice, register

from .baseline import extracts
from .defaults import SummarizationDefaults

if TYPE_CHECKING:
    from torchmetrics import Metric  # imported where metrics are made: takes a second


@register("task")
class SummarizationTask(SequenceToSequence):
    """Summarization by an encoder-decoder, measured by ROUGE (0 to 100). Rush et al. 2015, https://aclanthology.org/D15-1044

    references: of several summaries of a document: take the `best` score, by metric, or the `mean` over all.
    stem: compare stems of English words (Porter's stemmer), as is usual.
    sentences: the sentences of ROUGE-Lsum: lines, as in the package rouge_score, or lines and text up to . ! ? or such a mark.
    tokenize: the words that are compared: runs of a-z and 0-9, as in the package rouge_score, words of letters and digits of any script
        (unicode; each character in scripts without blanks), or what stands between blanks (whitespace, for texts that are tokenized).
    """

    format = choice("format", "summarization")
    defaults = SummarizationDefaults()

    def __init__(
        self,
        max_ratio: float | None = 0.5,
        references: Literal["best", "mean"] = "best",
        stem: bool = True,
        sentences: Literal["lines", "punctuation"] = "lines",
        tokenize: Literal["rouge_score", "unicode", "whitespace"] = "rouge_score",
        **options: Any,
    ):
        super().__init__(max_ratio=max_ratio, **options)
        self.rouge_options: dict[str, Any] = {"references": references, "stem": stem, "sentences": sentences, "tokenize": tokenize}

    def metrics(self) -> dict[str, "Metric"]:
        from framework import Rouge

        return {"rouge": Rouge(**self.rouge_options)}

    def baseline(self, data: BaselineData) -> Baseline:
        """Extracts of the document."""
        return extracts(data.train, data.test, **self.rouge_options)
