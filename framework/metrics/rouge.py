"""ROUGE: overlap of words, word pairs and longest common subsequences between a prediction and its reference.

Lin 2004, https://aclanthology.org/W04-1013, equal to the package rouge_score in every digit.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from framework.metrics.porter import stem as stemmed

SCORES = ("rouge1", "rouge2", "rougeL", "rougeLsum")
ENDS = {"lines": re.compile(r"\n"), "punctuation": re.compile(r"\n|(?<=[.!?])\s+")}
Words = list[str]


class Rouge(Metric):
    """ROUGE-1, -2, -L and -Lsum: mean F1 over texts, 0 to 100.

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
    higher_is_better = True
    scores: list[Tensor]

    def __init__(
        self,
        references: Literal["best", "mean"] = "best",
        stem: bool = True,
        sentences: Literal["lines", "punctuation"] = "lines",
        sync: bool = True,
    ):
        super().__init__(sync_on_compute=sync)
        self.references, self.stem, self.sentences = references, stem, sentences
        self.set_dtype(torch.float64)  # also of the empty state of a rank without texts
        self.add_state("scores", [], dist_reduce_fx="cat")  # text by text, each in the order of SCORES

    def update(self, predictions: Sequence[str], references: Sequence[str | Sequence[str]]) -> None:
        assert len(predictions) == len(references), f"{len(predictions)} predictions, {len(references)} references"
        scores = [self.score(*pair) for pair in zip(predictions, references, strict=True)]
        self.scores.append(torch.tensor([row[name] for row in scores for name in SCORES], dtype=torch.float64, device=self.device))

    def compute(self) -> dict[str, Tensor]:
        values = dim_zero_cat(self.scores).tolist() if len(self.scores) else []
        columns = {name: values[index :: len(SCORES)] for index, name in enumerate(SCORES)}
        return {name: torch.tensor(mean(column), dtype=torch.float64) for name, column in columns.items()}

    def score(self, prediction: str, references: str | Sequence[str]) -> dict[str, float]:
        """score name -> F1, 0 to 1, of a prediction and its references."""
        several = [references] if isinstance(references, str) else references
        compared = [self._compare(prediction, reference) for reference in several]
        columns = {name: [scores[name] for scores in compared] for name in SCORES}
        return {name: max(column) if self.references == "best" else math.fsum(column) / len(column) for name, column in columns.items()}

    def _compare(self, prediction: str, reference: str) -> dict[str, float]:
        left, right = words(prediction, self.stem), words(reference, self.stem)
        rouge_l = f1(len(common_indices(right, left)), len(left), len(right))
        sentences = [self._sentences(text) for text in (prediction, reference)]
        lsum = rouge_l if max(map(len, sentences)) < 2 else rouge_lsum(*sentences)  # equal for single sentences
        return {"rouge1": rouge_n(left, right, 1), "rouge2": rouge_n(left, right, 2), "rougeL": rouge_l, "rougeLsum": lsum}

    def _sentences(self, text: str) -> list[Words]:
        sentences = (words(sentence, self.stem) for sentence in ENDS[self.sentences].split(text))
        return [sentence for sentence in sentences if sentence]

    @property
    def signature(self) -> str:
        """Only scores of equal signatures are comparable."""
        return f"F1|refs:{self.references}|stem:{'porter' if self.stem else 'no'}|sentences:{self.sentences}|tok:rouge_score"


def mean(scores: Sequence[float]) -> float:
    """Mean, 0 to 100; NaN without scores."""
    return 100 * math.fsum(scores) / len(scores) if scores else math.nan


def words(text: str, stem: bool) -> Words:
    """Lowercase runs of the letters a to z and digits; stems of those with more than three characters."""
    runs = re.findall(r"[a-z0-9]+", text.lower())
    return [stemmed(word) if len(word) > 3 else word for word in runs] if stem else runs


def rouge_n(left: Words, right: Words, n: int) -> float:
    counts = [Counter(zip(*(side[start:] for start in range(n)), strict=False)) for side in (left, right)]
    return f1((counts[0] & counts[1]).total(), counts[0].total(), counts[1].total())


def rouge_lsum(left: Sequence[Words], right: Sequence[Words]) -> float:
    """ROUGE-Lsum (section 3.2): for each sentence of the reference the union of its longest common subsequences with all sentences of the
    prediction; no word counts more often than it occurs, as in the author's own program (ROUGE-1.5.5)."""
    predicted, expected = (Counter(word for sentence in side for word in sentence) for side in (left, right))
    unions = ((sentence, {index for other in left for index in common_indices(sentence, other)}) for sentence in right)
    matches = Counter(sentence[index] for sentence, indices in unions for index in indices)
    return f1((matches & predicted & expected).total(), predicted.total(), expected.total())


def common_indices(sentence: Words, other: Words) -> list[int]:
    """Indices in the sentence of a longest common subsequence; of several, the one that rouge_score takes."""
    table = [[0] * (len(other) + 1)]
    for word in sentence:
        above, row = table[-1], [0]
        for index, candidate in enumerate(other):
            row.append(above[index] + 1 if word == candidate else max(above[index + 1], row[index]))
        table.append(row)
    indices, down, right = [], len(sentence), len(other)
    while down and right:
        if sentence[down - 1] == other[right - 1]:
            down, right = down - 1, right - 1
            indices.append(down)
        elif table[down][right - 1] > table[down - 1][right]:
            right -= 1
        else:
            down -= 1
    return indices


def f1(matches: int, left: int, right: int) -> float:
    """The harmonic mean of precision and recall, in rouge_score's order of operations."""
    if not matches:
        return 0.0
    precision, recall = matches / left, matches / right
    return 2 * precision * recall / (precision + recall)
