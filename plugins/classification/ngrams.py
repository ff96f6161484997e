"""Scores of the n-grams of a text, or of two texts and what they have in common, beside those of the classifier.

Shapes: B texts, T tokens, N n-grams of a text, M rows of the table, K overlaps of a pair, R training texts, C scores.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, pad

from framework import Batch, DataSpec

from .folds import FOLDS, fold_of
from .hashes import hashed_ngrams
from .linear import PENALTY, STRONG_PENALTY, Features, cross_fitted, fit
from .overlaps import Overlaps, Pairs

STRENGTH = 2.0  # factor of the scores: regularization makes them smaller than those of a network
TOKENS = 5_000_000  # of the training texts that are read at most
SCALES = (1.0, 3.0)  # of the n-grams of a pair beside its overlaps
COMPARED = 2_000  # pairs that choose the scale, at most


class NgramScores(nn.Module):
    """A linear model of TF-IDF weighted n-grams of tokens, each counted once. Its scores are added to those of the classifier. Few texts
    suffice for it, and the two make different errors. Wang and Manning 2012, https://aclanthology.org/P12-2018

    Of two texts, an n-gram of both is another feature than one of the first or of the second alone, and there are overlaps (`Pairs`).

    N-grams share a table by their hashes: Weinberger et al. 2009, https://arxiv.org/abs/0902.2206

    order: tokens of the longest n-grams.
    special: ids that separate two texts; None = there is one text.
    stacked: scores are added in training, too, where each is by a model that has not seen the text, so that the classifier learns what they
        do not tell (Wolpert 1992, https://doi.org/10.1016/S0893-6080(05)80023-1); else they are added to predict, multiplied by STRENGTH.
    penalty: of a squared weight.
    buckets: rows of the table.
    """

    frequency: Tensor  # (M,): inverse document frequency
    weight: Tensor  # (P * M, C): P = 1 of all texts, or 1 + FOLDS: then those of the texts outside of each fold
    bias: Tensor  # (P, C)
    overlap_weight: Tensor  # (P, K, C)

    def __init__(
        self,
        outputs: int,
        order: int,
        special: tuple[int, ...] | None = None,
        stacked: bool = False,
        penalty: float = PENALTY,
        buckets: int = 2**17,
    ):
        super().__init__()
        self.order, self.special, self.stacked, self.penalty, self.buckets = order, special, stacked, penalty, buckets
        parts = 1 + FOLDS if stacked else 1
        self.register_buffer("frequency", torch.ones(buckets))
        self.register_buffer("weight", torch.zeros(parts * buckets, outputs))
        self.register_buffer("bias", torch.zeros(parts, outputs))
        self.overlaps = None if special is None else Overlaps(order, buckets)
        if self.overlaps is not None:
            self.register_buffer("overlap_weight", torch.zeros(parts, self.overlaps.count, outputs))

    def forward(self, scores: Tensor, batch: Batch) -> Tensor:
        """Scores (B, C) and those of the n-grams of a batch."""
        if not self.stacked:
            return scores if self.training else scores + STRENGTH * self.scores(batch).to(scores.dtype)
        return scores + self.scores(batch, held_out=self.training).to(scores.dtype)

    def scores(self, batch: Batch, held_out: bool = False) -> Tensor:
        """(B, C). held_out: by the models of the training texts outside of the fold of each text."""
        columns, present, pairs = self.features(batch)
        values = self.frequency[columns] * present
        values = values / values.norm(dim=1, keepdim=True).clamp(min=1e-12)
        part = 1 + fold_of(batch) if held_out else torch.zeros_like(columns[:, 0])  # (B,)
        own = (embedding(columns + self.buckets * part[:, None], self.weight) * values[..., None]).sum(dim=1) + self.bias[part]
        if pairs is None or self.overlaps is None:
            return own
        return own + (self.overlaps(pairs)[..., None] * self.overlap_weight[part]).sum(dim=1)

    def features(self, batch: Batch) -> tuple[Tensor, Tensor, Pairs | None]:
        """The rows of the n-grams in the table, ascending, and whether each is the first of its row and is there, (B, N); the pairs."""
        ids, mask = batch["ids"], batch.get("padding_mask")
        tokens = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask
        pairs = None if self.special is None else Pairs(ids, tokens, batch["segments"], self.special, self.order)
        found = hashed_ngrams(ids, tokens, self.order) if pairs is None else pairs.features()
        rows = [(hashes % self.buckets).masked_fill(~present, self.buckets) for hashes, present in found]
        columns = torch.cat(rows, dim=1).sort(dim=1).values  # (B, N)
        first = columns != pad(columns[:, :-1], (1, 0), value=-1)
        return columns.clamp(max=self.buckets - 1), first & (columns < self.buckets), pairs

    @torch.no_grad()
    def fit(self, batches: Iterable[Batch], loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        """Fits the linear model. batches: training texts, of which the first TOKENS tokens are read. loss: of scores (B, C) and the
        targets of the batches, summed."""
        texts: list[Tensor] = []
        targets, fold, pairs = [], [], []
        read = 0
        for batch in batches:
            columns, present, pair = self.features(batch)
            texts += [row[there] for row, there in zip(columns, present, strict=True)]  # each n-gram once
            targets.append(batch["label"])
            fold.append(fold_of(batch))
            pairs += [] if pair is None else [pair]
            read += batch["ids"].numel()
            if read >= TOKENS:
                break
        wanted, folds = torch.cat(targets), torch.cat(fold)
        features, used = self._weighted(texts)
        overlaps = None if self.overlaps is None else self.overlaps.fit(pairs).float()
        shape = (len(used) + (0 if overlaps is None else overlaps.shape[1]), self.bias.shape[1])

        def fitted(given: Features, wanted: Tensor) -> tuple[Tensor, Tensor]:
            with torch.enable_grad():
                return fit(given, shape, lambda scores: loss(scores, wanted), self.penalty)

        def unseen(given: Features, wanted: Tensor, folds: Tensor) -> Tensor:
            return cross_fitted(given, folds, lambda some, rows: fitted(some, wanted[rows]), shape[1])

        scale = 1.0
        if overlaps is not None:
            few = torch.arange(len(texts)) < COMPARED
            tried = [features.scaled(each).beside(overlaps, len(used)) for each in SCALES]
            losses = [loss(unseen(each.of(few), wanted[few], folds[few]), wanted[few]) for each in tried]
            best = int(torch.stack(losses).argmin())
            features, scale = tried[best], SCALES[best]
        for part in range(len(self.bias)):
            rows = folds != part - 1  # part 0 has the texts of all folds
            if rows.any():
                weight, bias = fitted(features.of(rows), wanted[rows])
                self.weight[used + part * self.buckets] = scale * weight[: len(used)].to(self.weight)
                self.bias[part] = bias
                if overlaps is not None:
                    self.overlap_weight[part] = weight[len(used) :]

    def _weighted(self, texts: list[Tensor]) -> tuple[Features, Tensor]:
        """The TF-IDF weighted features of the rows of n-grams of each text; the rows of the table that these have, one for each column."""
        occurs = torch.zeros(self.buckets)
        for text in texts:
            occurs[text] += 1
        frequency = (((1 + len(texts)) / (1 + occurs)).log() + 1) * (occurs > 0)  # an n-gram of no training text counts nothing
        self.frequency.copy_(frequency)
        used, columns = torch.cat(texts).unique(return_inverse=True)
        sizes = torch.tensor([len(text) for text in texts])
        rows = torch.arange(len(texts)).repeat_interleave(sizes)
        values = frequency[used][columns]
        norms = torch.zeros(len(texts)).index_add(0, rows, values.square()).sqrt().clamp(min=1e-12)
        return Features(columns, values / norms[rows], sizes.cumsum(0) - sizes), used


def ngram_scores(outputs: int, order: int, spec: DataSpec, pairs: bool) -> NgramScores:
    """The linear model beside a classifier. It is stacked for numbers, because two predictions of one do not add up, and for pairs, because
    a network from random weights learns far less of them than a linear model of their overlaps."""
    if not pairs and spec.labels:
        return NgramScores(outputs, order)
    special = tuple(id for id in (spec.begin, spec.end) if id is not None) if pairs else None
    return NgramScores(outputs, order, special, stacked=True, penalty=STRONG_PENALTY)
