"""ROUGE of the package rouge_score as a torchmetric, exact for any number of batches and ranks."""

import math
import re
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

SCORES = ("rouge1", "rouge2", "rougeL", "rougeLsum")


class Rouge(Metric):
    """ROUGE-1, -2, -L and -Lsum: mean F1 over texts, 0 to 100. Lin 2004, https://aclanthology.org/W04-1013

    references: of several references, take the best for each score, or the mean.
    stem: compare stems of words. sentences: in Lsum a sentence is a line, or also ends with . ! or ?
    sync: whether the scores of all processes are taken.

    The state holds the scores of all texts, which are added exactly, so the result does not depend on batches and ranks.

    >>> rouge = Rouge()
    >>> rouge.update(["the cat sat"], ["the cat"])
    >>> {name: round(float(value), 1) for name, value in rouge.compute().items()}["rouge1"]
    80.0
    """

    full_state_update = False
    scores: list[Tensor]

    def __init__(
        self,
        references: Literal["best", "mean"] = "best",
        stem: bool = True,
        sentences: Literal["lines", "punctuation"] = "lines",
        sync: bool = True,
    ):
        from rouge_score.rouge_scorer import RougeScorer  # takes 1 s

        super().__init__(sync_on_compute=sync)
        self.references, self.stem, self.sentences = references, stem, sentences
        self.scorer = RougeScorer(SCORES, use_stemmer=stem)
        self.set_dtype(torch.float64)  # also of the empty state of a rank without texts
        self.add_state("scores", [], dist_reduce_fx="cat")  # text by text, each in the order of SCORES

    def update(self, predictions: Sequence[str], references: Sequence[str | Sequence[str]]) -> None:
        assert len(predictions) == len(references), f"{len(predictions)} predictions, {len(references)} references"
        scores = [self.score(*pair) for pair in zip(predictions, references, strict=True)]
        self.scores.append(torch.tensor([row[name] for row in scores for name in SCORES], dtype=torch.float64, device=self.device))

    def compute(self) -> dict[str, Tensor]:
        values = dim_zero_cat(self.scores).tolist() if len(self.scores) else []
        texts = len(values) // len(SCORES)
        sums = {name: math.fsum(values[index :: len(SCORES)]) for index, name in enumerate(SCORES)}
        return {name: torch.tensor(100 * total / texts if texts else math.nan, dtype=torch.float64) for name, total in sums.items()}

    def score(self, prediction: str, references: str | Sequence[str]) -> dict[str, float]:
        """score name -> F1, 0 to 1, of a prediction and its references."""
        several = [references] if isinstance(references, str) else references
        compared = [self.scorer.score(self._lines(reference), self._lines(prediction)) for reference in several]
        columns = {name: [scores[name].fmeasure for scores in compared] for name in SCORES}
        return {name: max(column) if self.references == "best" else math.fsum(column) / len(column) for name, column in columns.items()}

    def _lines(self, text: str) -> str:
        """The text with each sentence on a line."""
        return text if self.sentences == "lines" else re.sub(r"(?<=[.!?])\s+", "\n", text)

    @property
    def signature(self) -> str:
        """Only scores of equal signatures are comparable."""
        return f"F1|refs:{self.references}|stem:{'porter' if self.stem else 'no'}|sentences:{self.sentences}|tok:rouge_score"
