"""ROUGE: how many words, word pairs and longest common subsequences a text shares with what it should say.

Lin 2004, https://aclanthology.org/W04-1013, to the last digit as the package rouge_score counts it, which the field reports.
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

FIGURES = ("rouge1", "rouge2", "rougeL", "rougeLsum")
ENDS = {"lines": re.compile(r"\n"), "punctuation": re.compile(r"\n|(?<=[.!?])\s+")}
Words = list[str]


class Rouge(Metric):
    """ROUGE-1, -2, -L and -Lsum: the mean over texts of their F1, 0 to 100.

    references: of several, a text is compared with the best, for each figure by itself, or with all, whose mean counts.
    stem: compare words without their endings. sentences: what they are in Lsum: lines, or also what ends in . ! or ?
    sync: whether the scores of all processes are taken.

    The scores of all texts are kept and added up exactly, so that any split into batches and ranks gives the same figure.
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
        self.set_dtype(torch.float64)  # also of what a rank without texts gives to the others
        self.add_state("scores", [], dist_reduce_fx="cat")  # of one text after the other, in the order of FIGURES

    def update(self, predictions: Sequence[str], references: Sequence[str | Sequence[str]]) -> None:
        assert len(predictions) == len(references), f"{len(predictions)} predictions, {len(references)} references"
        scores = [self.score(*pair) for pair in zip(predictions, references, strict=True)]
        self.scores.append(torch.tensor([row[name] for row in scores for name in FIGURES], dtype=torch.float64, device=self.device))

    def compute(self) -> dict[str, Tensor]:
        values = dim_zero_cat(self.scores).tolist() if len(self.scores) else []
        columns = {name: values[place :: len(FIGURES)] for place, name in enumerate(FIGURES)}
        return {name: torch.tensor(mean(column), dtype=torch.float64) for name, column in columns.items()}

    def score(self, prediction: str, references: str | Sequence[str]) -> dict[str, float]:
        """F1 by name of figure, 0 to 1, of one text and what it should say, in one or several ways."""
        several = [references] if isinstance(references, str) else references
        found = [self._compare(prediction, reference) for reference in several]
        columns = {name: [scores[name] for scores in found] for name in FIGURES}
        return {name: max(column) if self.references == "best" else math.fsum(column) / len(column) for name, column in columns.items()}

    def _compare(self, prediction: str, reference: str) -> dict[str, float]:
        left, right = words(prediction, self.stem), words(reference, self.stem)
        longest = f1(len(common(right, left)), len(left), len(right))
        sentences = [self._sentences(text) for text in (prediction, reference)]
        # Of one sentence and one sentence both are the same, and the common words need not be found twice.
        both = longest if max(map(len, sentences)) < 2 else of_sentences(*sentences)
        return {"rouge1": n_grams(left, right, 1), "rouge2": n_grams(left, right, 2), "rougeL": longest, "rougeLsum": both}

    def _sentences(self, text: str) -> list[Words]:
        found = (words(sentence, self.stem) for sentence in ENDS[self.sentences].split(text))
        return [sentence for sentence in found if sentence]

    @property
    def signature(self) -> str:
        """What makes the figures comparable."""
        return f"F1|refs:{self.references}|stem:{'porter' if self.stem else 'no'}|sentences:{self.sentences}|tok:rouge_score"


def mean(scores: Sequence[float]) -> float:
    """0 to 100; of no score at all, not a number."""
    return 100 * math.fsum(scores) / len(scores) if scores else math.nan


def words(text: str, stem: bool) -> Words:
    """Runs of the letters a to z and digits, in small letters; those of more than three without their ending."""
    found = re.findall(r"[a-z0-9]+", text.lower())
    return [stemmed(word) if len(word) > 3 else word for word in found] if stem else found


def n_grams(left: Words, right: Words, n: int) -> float:
    counts = [Counter(zip(*(side[start:] for start in range(n)), strict=False)) for side in (left, right)]
    return f1((counts[0] & counts[1]).total(), counts[0].total(), counts[1].total())


def of_sentences(left: Sequence[Words], right: Sequence[Words]) -> float:
    """ROUGE-Lsum (section 3.2): for each sentence of the reference the union of what it has in common with every sentence of the
    prediction; no word counts more often than it occurs, as in the author's own program (ROUGE-1.5.5)."""
    there, wanted = (Counter(word for sentence in side for word in sentence) for side in (left, right))
    found = Counter(sentence[place] for sentence in right for place in {place for other in left for place in common(sentence, other)})
    return f1((found & there & wanted).total(), there.total(), wanted.total())


def common(sentence: Words, other: Words) -> list[int]:
    """Places in the sentence of a longest subsequence that the other has too; of several, the one that rouge_score takes."""
    table = [[0] * (len(other) + 1)]
    for word in sentence:
        above, row = table[-1], [0]
        for place, match in enumerate(other):
            row.append(above[place] + 1 if word == match else max(above[place + 1], row[place]))
        table.append(row)
    places, down, right = [], len(sentence), len(other)
    while down and right:
        if sentence[down - 1] == other[right - 1]:
            down, right = down - 1, right - 1
            places.append(down)
        elif table[down][right - 1] > table[down - 1][right]:
            right -= 1
        else:
            down -= 1
    return places


def f1(matches: int, left: int, right: int) -> float:
    """The harmonic mean of precision and recall, in rouge_score's order of operations."""
    if not matches:
        return 0.0
    precision, recall = matches / left, matches / right
    return 2 * precision * recall / (precision + recall)
