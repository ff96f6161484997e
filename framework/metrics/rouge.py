"""ROUGE of the package rouge_score as a torchmetric, exact for any number of batches and ranks."""

import math
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from framework.metrics.base import RowMetric
from framework.metrics.resampling import Array, Figures
from framework.utils.words import letter_words, split_sentences

SCORES = ("rouge1", "rouge2", "rougeL", "rougeLsum")
WORDS: dict[str, Callable[[str], list[str]]] = {  # the words of a text by each tokenization
    "rouge_score": re.compile(r"[A-Za-z0-9]+").findall,
    "unicode": letter_words,
    "whitespace": str.split,
}
LEFT_OUT = 0.1  # share of the letters of references that rouge_score leaves out, from which on it is said


class Rouge(RowMetric):
    """ROUGE-1, -2, -L and -Lsum: mean F1 over texts, 0 to 100. Lin 2004, https://aclanthology.org/W04-1013

    references: of several references, take the best for each score, or the mean.
    stem: compare stems of English words. sentences: in Lsum a sentence is a line, or also ends with . ! ? or such a mark of another script.
    tokenize: words are runs of a-z and 0-9 (rouge_score), words of letters and digits of any script (unicode; the same in ASCII), or what
        stands between blanks (whitespace). All are lowercased.

    The state holds the scores of all texts, which are added exactly, so the result does not depend on batches and ranks.

    >>> rouge = Rouge()
    >>> rouge.update(["the cat sat"], ["the cat"])
    >>> {name: round(float(value), 1) for name, value in rouge.compute().items()}["rouge1"]
    80.0
    """

    higher_is_better = True
    scores: list[Tensor]

    def __init__(
        self,
        references: Literal["best", "mean"] = "best",
        stem: bool = True,
        sentences: Literal["lines", "punctuation"] = "lines",
        tokenize: Literal["rouge_score", "unicode", "whitespace"] = "rouge_score",
    ):
        from rouge_score.rouge_scorer import RougeScorer  # takes 1 s

        super().__init__()
        self.references, self.stem, self.sentences, self.tokenize = references, stem, sentences, tokenize
        tokenizer = None if tokenize == "rouge_score" else _Tokenizer(self.words, stem)
        self.scorer = RougeScorer(SCORES, use_stemmer=stem, tokenizer=tokenizer)
        self.set_dtype(torch.float64)  # also of the empty state of a rank without texts
        self.add_state("scores", [], dist_reduce_fx="cat")  # text by text, each in the order of SCORES

    def update(self, predictions: Sequence[str], references: Sequence[str | Sequence[str]]) -> None:
        assert len(predictions) == len(references), f"{len(predictions)} predictions, {len(references)} references"
        if self.tokenize == "rouge_score":
            _warn_of_other_letters(references)
        scored = (self.score(*pair) for pair in zip(predictions, references, strict=True))
        rows = [[scores[name] for name in SCORES] for scores in scored]
        self.scores.append(torch.tensor(rows, dtype=torch.float64, device=self.device).flatten())
        self.keep(np.array([[*row, 1.0] for row in rows]).reshape(-1, len(SCORES) + 1))

    def compute(self) -> dict[str, Tensor]:
        values = dim_zero_cat(self.scores).tolist() if len(self.scores) else []
        sums = [math.fsum(values[index :: len(SCORES)]) for index in range(len(SCORES))]
        value: dict[str, Tensor] = self.value_of([*sums, len(values) // len(SCORES)])
        return value

    def figures(self, sums: Array) -> Figures:
        with np.errstate(all="ignore"):  # no texts
            return {name: 100 * sums[:, index] / sums[:, -1] for index, name in enumerate(SCORES)}

    def score(self, prediction: str, references: str | Sequence[str]) -> dict[str, float]:
        """score name -> F1, 0 to 1, of a prediction and its references."""
        several = [references] if isinstance(references, str) else references
        compared = [self.scorer.score(self._lines(reference), self._lines(prediction)) for reference in several]
        columns = {name: [scores[name].fmeasure for scores in compared] for name in SCORES}
        return {name: max(column) if self.references == "best" else math.fsum(column) / len(column) for name, column in columns.items()}

    def words(self, text: str) -> list[str]:
        """The words of a text that are compared, without lowercasing and stems."""
        return WORDS[self.tokenize](text)

    def _lines(self, text: str) -> str:
        """The text with each sentence on a line."""
        return text if self.sentences == "lines" else "\n".join(split_sentences(text))

    @property
    def signature(self) -> str:
        """Only scores of equal signatures are comparable."""
        return f"F1|refs:{self.references}|stem:{'porter' if self.stem else 'no'}|sentences:{self.sentences}|tok:{self.tokenize}"


class _Tokenizer:
    """A tokenizer for the package rouge_score, which stems words of more than three letters."""

    def __init__(self, words: Callable[[str], list[str]], stem: bool):
        from nltk.stem.porter import PorterStemmer

        self.words, self.stemmer = words, PorterStemmer() if stem else None

    def tokenize(self, text: str) -> list[str]:
        words = self.words(text.lower())
        return [self.stemmer.stem(word) if self.stemmer and word.isascii() and len(word) > 3 else word for word in words]


def _warn_of_other_letters(references: Sequence[str | Sequence[str]]) -> None:
    texts = [text for each in references for text in ([each] if isinstance(each, str) else each)]
    letters = sum(map(str.isalnum, "".join(texts)))
    counted = sum(character.isalnum() and character.isascii() for text in texts for character in text)
    if letters - counted > LEFT_OUT * letters:
        warnings.warn(
            "ROUGE counts the letters a-z and digits alone, as the package rouge_score does, and leaves out many letters of these "
            "references; task.tokenize=unicode (in Python Rouge(tokenize='unicode')) counts the words of any script",
            stacklevel=3,
        )
