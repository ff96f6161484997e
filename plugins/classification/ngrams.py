"""Scores of the n-grams of a text beside those of the classifier.

Shapes: B texts, T tokens, N n-grams of a text, M rows of the table, C scores.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, pad

from framework import Batch

from .linear import Features, fit

_PRIME, _LARGEST = 1_000_003, 2**31 - 1
STRENGTH = 2.0  # factor of the scores: regularization makes them smaller than those of a network
TOKENS = 5_000_000  # of the training texts that are read at most


class NgramScores(nn.Module):
    """A linear model of TF-IDF weighted n-grams of tokens, each counted once. Its scores are added to those of the classifier to predict.
    Few texts suffice for it, and the two make different errors. Wang and Manning 2012, https://aclanthology.org/P12-2018

    N-grams share a table by their hashes: Weinberger et al. 2009, https://arxiv.org/abs/0902.2206

    order: tokens of the longest n-grams. buckets: rows of the table.
    """

    frequency: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, outputs: int, order: int, buckets: int = 2**17):
        super().__init__()
        self.order, self.buckets = order, buckets
        self.register_buffer("frequency", torch.ones(buckets))  # inverse document frequency
        self.register_buffer("weight", torch.zeros(buckets, outputs))
        self.register_buffer("bias", torch.zeros(outputs))

    def forward(self, scores: Tensor, ids: Tensor, padding_mask: Tensor | None) -> Tensor:
        """Scores (B, C) and those of the n-grams of ids (B, T)."""
        columns, present = self.columns(ids, padding_mask)  # (B, N)
        values = self.frequency[columns] * present
        values = values / values.norm(dim=1, keepdim=True).clamp(min=1e-12)
        own = (embedding(columns, self.weight) * values[..., None]).sum(dim=1) + self.bias  # (B, C)
        return scores + STRENGTH * own.to(scores.dtype)

    def columns(self, ids: Tensor, padding_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """The rows of the n-grams in the table, ascending, and whether each is the first of its row and has all of its tokens: (B, N),
        N = order * T."""
        tokens = torch.ones_like(ids, dtype=torch.bool) if padding_mask is None else padding_mask
        hashes, present = torch.zeros_like(ids), torch.ones_like(tokens)
        rows = []
        for distance in range(self.order):
            hashes = (hashes * _PRIME + pad(ids[:, distance:], (0, distance)) + 1) % _LARGEST  # (B, T)
            present = present & pad(tokens[:, distance:], (0, distance))
            rows.append((hashes % self.buckets).masked_fill(~present, self.buckets))
        columns = torch.cat(rows, dim=1).sort(dim=1).values  # (B, N)
        first = columns != pad(columns[:, :-1], (1, 0), value=-1)
        return columns.clamp(max=self.buckets - 1), first & (columns < self.buckets)

    @torch.no_grad()
    def fit(self, batches: Iterable[Batch], loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        """Fits the linear model. batches: training texts, of which the first TOKENS tokens are read. loss: of scores (B, C) and the
        targets of the batches, summed."""
        texts: list[Tensor] = []
        targets = []
        read = 0
        for batch in batches:
            columns, present = self.columns(batch["ids"], batch["padding_mask"])
            texts += [row[there] for row, there in zip(columns, present, strict=True)]  # each n-gram once
            targets.append(batch["label"])
            read += batch["ids"].numel()
            if read >= TOKENS:
                break
        sizes = torch.tensor([len(text) for text in texts])
        occurs = torch.zeros(self.buckets)
        for text in texts:
            occurs[text] += 1
        frequency = (((1 + len(texts)) / (1 + occurs)).log() + 1) * (occurs > 0)  # an n-gram of no training text counts nothing
        columns = torch.cat(texts)
        values = frequency[columns]
        rows = torch.arange(len(texts)).repeat_interleave(sizes)
        norms = torch.zeros(len(texts)).index_add(0, rows, values.square()).sqrt()
        features = Features(columns, values / norms[rows], sizes.cumsum(0) - sizes)
        wanted = torch.cat(targets)
        with torch.enable_grad():
            weight, bias = fit(features, (self.buckets, len(self.bias)), lambda scores: loss(scores, wanted))
        self.frequency.copy_(frequency)
        self.weight.copy_(weight)
        self.bias.copy_(bias)
