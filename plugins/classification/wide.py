"""Linear scores of a text beside those of the classifier. Context arguments: outputs.

Shapes: B texts, T tokens, N n-grams of a text, C scores.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, pad

from framework import register

_PRIME = 1_000_003
_LARGEST = 2**31 - 1


@register("wide", "none")
class NoWide(nn.Module):
    """No scores but those of the classifier."""

    variant = ""

    def __init__(self, outputs: int):
        super().__init__()

    def forward(self, ids: Tensor, padding_mask: Tensor | None) -> float:
        return 0.0


@register("wide", "ngrams")
class NgramScores(nn.Module):
    """A weight for each n-gram of tokens and each score, summed over a text: the wide part of a wide and deep model. Cheng et al. 2016,
    section 3.1, https://arxiv.org/abs/1606.07792; n-grams share a table by their hashes, as in Joulin et al. 2017, section 2.1,
    https://aclanthology.org/E17-2068

    order: tokens of the longest n-grams.
    buckets: weights of each score; two n-grams of one hash have the same.
    dropout: dropout probability of an n-gram.
    lr_multiplier: multiplies the learning rate: a rare n-gram has few steps to reach a large weight.
    """

    rules: ClassVar[dict[str, str]] = {
        "1 <= order <= 8": "order must be from 1 to 8",
        "1 <= buckets <= 2**24": "buckets must be from 1 to 2**24",
        "0 <= dropout < 1": "dropout must be in [0, 1)",
        "0 < lr_multiplier < 1e6": "lr_multiplier must be positive and below 1,000,000",
    }
    variant = "n-grams"

    def __init__(self, outputs: int, order: int = 2, buckets: int = 2**16, dropout: float = 0.0, lr_multiplier: float = 100.0):
        super().__init__()
        self.order, self.buckets, self.dropout, self.lr_multiplier = order, buckets, dropout, lr_multiplier
        self.weight = nn.Parameter(torch.zeros(buckets, outputs))

    def initialize_weights(self) -> None:
        nn.init.zeros_(self.weight)

    def forward(self, ids: Tensor, padding_mask: Tensor | None) -> Tensor:
        """ids (B, T) -> (B, C): the sum of the weights, divided by the square root of their number."""
        hashes, present = self.ngrams(ids, padding_mask)  # (B, N)
        used = present.to(self.weight.dtype)
        if self.training and self.dropout:
            used = nn.functional.dropout(used, self.dropout)
        scores = (embedding(hashes, self.weight) * used[..., None]).sum(dim=1)  # (B, C)
        return scores / present.sum(dim=1, keepdim=True).clamp(min=1).sqrt()

    def ngrams(self, ids: Tensor, padding_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """The row of each n-gram in the table, and whether all of its tokens are there: (B, N), N = order * T."""
        tokens = torch.ones_like(ids, dtype=torch.bool) if padding_mask is None else padding_mask
        hashes, present = torch.zeros_like(ids), torch.ones_like(tokens)
        rows, there = [], []
        for distance in range(self.order):
            hashes = (hashes * _PRIME + pad(ids[:, distance:], (0, distance)) + 1) % _LARGEST  # (B, T)
            present = present & pad(tokens[:, distance:], (0, distance))
            rows.append(hashes % self.buckets)
            there.append(present)
        return torch.cat(rows, dim=1), torch.cat(there, dim=1)
