"""Scores of the n-grams of a text, or of what two texts have in common, beside those of the classifier.

Shapes: B texts, T tokens, N n-grams of a text, M rows of the table, K overlaps of a pair, R training texts, C scores.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, pad

from framework import Batch

from .linear import PENALTY, Features, fit
from .overlaps import _LARGEST, _PRIME, Pairs, shifted

STRENGTH = 2.0  # factor of the scores: regularization makes them smaller than those of a network
TOKENS = 5_000_000  # of the training texts that are read at most
FOLDS = 5  # of the training texts, each scored by a model of the others
SCALES = (1.0, 3.0)  # of the n-grams of a pair beside its overlaps
COMPARED = 2_000  # texts that are read to choose a scale, at most
FURTHEST = 5.0  # standard deviations of an overlap from its mean, at most


class NgramScores(nn.Module):
    """A linear model of TF-IDF weighted n-grams of tokens, each counted once. Its scores are added to those of the classifier to predict.
    Few texts suffice for it, and the two make different errors. Wang and Manning 2012, https://aclanthology.org/P12-2018

    Of two texts, an n-gram of both is another feature than one of the first or the second alone, and there are overlaps (`Pairs`).

    stacked: in training, too, scores are added, each by a model that has not seen the text, so that the classifier learns what they do not
        tell. Wolpert 1992, https://doi.org/10.1016/S0893-6080(05)80023-1. If not, they are multiplied by STRENGTH.

    N-grams share a table by their hashes: Weinberger et al. 2009, https://arxiv.org/abs/0902.2206

    order: tokens of the longest n-grams. special: ids that separate two texts; None = there is one text. buckets: rows of the table.
    """

    frequency: Tensor
    weight: Tensor
    bias: Tensor
    rarity: Tensor  # (M,): inverse document frequency of the n-grams of a single text of a pair
    middle: Tensor  # (K,): the mean overlaps
    spread: Tensor  # (K,): their standard deviations
    overlap_weight: Tensor  # (K, C)
    seen: Tensor  # (R,): keys of the training texts, ascending
    held_out: Tensor  # (R, C): their scores

    def __init__(self, outputs: int, order: int, special: tuple[int, ...] | None = None, stacked: bool = False, buckets: int = 2**17):
        super().__init__()
        self.order, self.special, self.stacked, self.buckets = order, special, stacked, buckets
        self.register_buffer("frequency", torch.ones(buckets))  # inverse document frequency
        self.register_buffer("weight", torch.zeros(buckets, outputs))
        self.register_buffer("bias", torch.zeros(outputs))
        if special is not None:
            self.register_buffer("rarity", torch.ones(buckets))
            self.register_buffer("middle", torch.zeros(8 * order + 4))
            self.register_buffer("spread", torch.ones(8 * order + 4))
            self.register_buffer("overlap_weight", torch.zeros(8 * order + 4, outputs))
        if stacked:
            self.register_buffer("seen", torch.zeros(1, dtype=torch.int64))
            self.register_buffer("held_out", torch.zeros(1, outputs))
            self.scale = nn.Parameter(torch.ones(()))

    def _load_from_state_dict(self, state: Mapping[str, Any], prefix: str, *args: Any) -> None:
        """The number of training texts is that of the state."""
        for name in ("seen", "held_out"):
            if self.stacked and (saved := state.get(prefix + name)) is not None:
                setattr(self, name, torch.empty_like(saved, device=getattr(self, name).device))
        super()._load_from_state_dict(state, prefix, *args)

    def forward(self, scores: Tensor, batch: Batch) -> Tensor:
        """Scores (B, C) and those of the n-grams of a batch."""
        if not self.stacked:
            return scores if self.training else scores + STRENGTH * self.scores(batch).to(scores.dtype)
        own = self._scores_unseen(batch) if self.training else self.scores(batch)
        return scores + self.scale.to(scores.dtype) * own.to(scores.dtype)

    def scores(self, batch: Batch) -> Tensor:
        """(B, C)."""
        columns, present, overlaps = self.features(batch)
        values = self._values(columns, present)
        own = (embedding(columns, self.weight) * values[..., None]).sum(dim=1) + self.bias
        return own if overlaps is None else own + (self._standard(overlaps)[..., None] * self.overlap_weight).sum(dim=1)

    def features(self, batch: Batch) -> tuple[Tensor, Tensor, Pairs | None]:
        """The rows of the n-grams in the table, ascending, and whether each is the first of its row and is there, (B, N); the pairs."""
        ids, tokens = batch["ids"], batch.get("padding_mask")
        tokens = torch.ones_like(ids, dtype=torch.bool) if tokens is None else tokens
        pairs = None
        if self.special is None:
            hashes, present = ngrams(ids, tokens, self.order)
        else:
            pairs = Pairs(ids, tokens, batch["segments"], self.special, self.order)
            hashes, present = pairs.features()
        columns = (hashes % self.buckets).masked_fill(~present, self.buckets).sort(dim=1).values  # (B, N)
        first = columns != pad(columns[:, :-1], (1, 0), value=-1)
        return columns.clamp(max=self.buckets - 1), first & (columns < self.buckets), pairs

    def _values(self, columns: Tensor, present: Tensor) -> Tensor:
        values = self.frequency[columns] * present
        return values / values.norm(dim=1, keepdim=True).clamp(min=1e-12)

    def _standard(self, pairs: Pairs) -> Tensor:
        return ((pairs.overlaps(self.rarity) - self.middle) / self.spread).clamp(-FURTHEST, FURTHEST)

    def _scores_unseen(self, batch: Batch) -> Tensor:
        """Scores (B, C) of training texts by models that have not seen them; 0 of other texts."""
        keys = keys_of(batch)
        places = torch.searchsorted(self.seen, keys).clamp(max=len(self.seen) - 1)
        return self.held_out[places] * (self.seen[places] == keys)[:, None]

    @torch.no_grad()
    def fit(self, batches: Iterable[Batch], loss: Callable[[Tensor, Tensor], Tensor], penalty: float = PENALTY) -> None:
        """Fits the linear model. batches: training texts, of which the first TOKENS tokens are read. loss: of scores (B, C) and the
        targets of the batches, summed. penalty: of a squared weight."""
        texts: list[Tensor] = []
        targets, keys, pairs = [], [], []
        read = 0
        for batch in batches:
            columns, present, pair = self.features(batch)
            texts += [row[there] for row, there in zip(columns, present, strict=True)]  # each n-gram once
            targets.append(batch["label"])
            keys.append(keys_of(batch))
            if pair is not None:
                pairs.append(pair)
            read += batch["ids"].numel()
            if read >= TOKENS:
                break
        sizes = torch.tensor([len(text) for text in texts])
        self.frequency.copy_(inverse_frequency(texts, len(texts), self.buckets, unseen=False))
        columns = torch.cat(texts)
        used, columns = columns.unique(return_inverse=True)  # far fewer than rows of the table
        values = self.frequency[used][columns]
        rows = torch.arange(len(texts)).repeat_interleave(sizes)
        norms = torch.zeros(len(texts)).index_add(0, rows, values.square()).sqrt().clamp(min=1e-12)
        values = values / norms[rows]
        wanted, key = torch.cat(targets), torch.cat(keys)
        overlaps = self._fit_overlaps(pairs) if pairs else torch.zeros(len(texts), 0)  # (R, K)
        width, count = overlaps.shape[1], len(self.bias)

        def features(scale: float) -> Features:
            if not width:
                return Features(columns, scale * values, sizes.cumsum(0) - sizes)
            parts = [torch.cat(each) for each in zip(columns.split(sizes.tolist()), torch.arange(width).expand(len(texts), -1) + len(used), strict=True)]
            numbers = [torch.cat(each) for each in zip((scale * values).split(sizes.tolist()), overlaps, strict=True)]
            return Features(torch.cat(parts), torch.cat(numbers), (sizes + width).cumsum(0) - sizes - width)

        def fitted(given: Features, wanted: Tensor) -> tuple[Tensor, Tensor]:
            with torch.enable_grad():
                return fit(given, (len(used) + width, count), lambda scores: loss(scores, wanted), penalty)

        def crossed(given: Features, wanted: Tensor, folds: Tensor) -> Tensor:
            """(R, C): each text by a model of the texts of other folds."""
            scores = torch.zeros(len(wanted), count)
            for fold in folds.unique():
                inside = folds == fold
                weight, bias = fitted(given.of(~inside), wanted[~inside])
                scores[inside] = given.of(inside).times(weight) + bias
            return scores

        folds = (key >> 8) % FOLDS
        scale, scores = 1.0, None
        if width:
            few = torch.arange(len(texts)) < COMPARED
            losses = [loss(crossed(features(each).of(few), wanted[few], folds[few]), wanted[few]) for each in SCALES]
            scale = SCALES[int(torch.stack(losses).argmin())]
        given = features(scale)
        weight, bias = fitted(given, wanted)
        self.weight[used] = scale * weight[: len(used)]
        self.bias.copy_(bias)
        if width:
            self.overlap_weight.copy_(weight[len(used) :])
        if self.stacked:
            scores = crossed(given, wanted, folds)
            self.seen, order = key.sort()
            self.held_out = scores[order]

    def _fit_overlaps(self, pairs: list[Pairs]) -> Tensor:
        """The overlaps of pairs in standard deviations from their mean, (R, K)."""
        texts = [
            torch.cat([hashes[row][first[row] & (pair.segments[row] == side)] for hashes, first in zip(pair.hashes, pair.first, strict=True)])
            for pair in pairs
            for row in range(len(pair.segments))
            for side in (0, 1)
        ]
        self.rarity.copy_(inverse_frequency([text % self.buckets for text in texts], len(texts), self.buckets, unseen=True))
        overlaps = torch.cat([pair.overlaps(self.rarity) for pair in pairs])
        self.middle.copy_(overlaps.mean(dim=0))
        spread = overlaps.std(dim=0, correction=0)
        self.spread.copy_(spread.masked_fill(spread < 1e-6, 1.0))
        return torch.cat([self._standard(pair) for pair in pairs])


def ngrams(ids: Tensor, tokens: Tensor, order: int) -> tuple[Tensor, Tensor]:
    """Hashes of the n-grams of ids (B, T), and whether each has all of its tokens: (B, N), N = order * T."""
    hashes, present = torch.zeros_like(ids), torch.ones_like(tokens)
    found, there = [], []
    for distance in range(order):
        hashes = (hashes * _PRIME + shifted(ids, distance) + 1) % _LARGEST  # (B, T)
        present = present & shifted(tokens, distance)
        found.append(hashes)
        there.append(present)
    return torch.cat(found, dim=1), torch.cat(there, dim=1)


def inverse_frequency(texts: list[Tensor], total: int, buckets: int, unseen: bool) -> Tensor:
    """(M,): the inverse document frequency of the rows of the table. unseen: those of no text count as much as the rarest; else nothing."""
    occurs = torch.zeros(buckets)
    for text in texts:
        occurs[text] += 1
    frequency = ((1 + total) / (1 + occurs)).log() + 1
    return frequency if unseen else frequency * (occurs > 0)


def keys_of(batch: Batch) -> Tensor:
    """A number (B,) of the tokens of each text, whatever its padding."""
    ids, mask = batch["ids"], batch.get("padding_mask")
    mixed = (ids + 1) * -7046029254386353131 + torch.arange(ids.shape[1], device=ids.device) * -4658895280553007687
    mixed = (mixed ^ (mixed >> 29)) * -7046029254386353131
    mixed = mixed ^ (mixed >> 32)
    return (mixed if mask is None else mixed * mask).sum(dim=1)
