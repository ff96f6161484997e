"""Scores of tags by a linear tagger that was trained before the model.

Shapes: B batch, W words (or T subwords), K features of a word, F values of a feature, C tags.
"""

from collections.abc import Sequence
from zlib import crc32

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

FOLDS = 2


def fold_of(tokens: Sequence[str]) -> int:
    """The fold of a row, by its text: equal rows share a fold."""
    return crc32(" ".join(tokens).encode("utf-8", "surrogatepass")) % FOLDS


class LinearScores(nn.Module):
    """Scores of tags that are linear in the features of words, for a model to correct: stacking. Wolpert 1992,
    https://doi.org/10.1016/S0893-6080(05)80023-1

    In training the weights are those of a tagger that has not seen the fold of the row: on rows that it has seen it makes hardly an error,
    and the model would learn nothing. Weights are zero until `set`, and no parameters; their scale is learned with the model, because a
    perceptron's scores have no unit of probability.

    buckets: F. tags: C.
    """

    weights: Tensor  # ((1 + FOLDS) * F, C): of all rows, and of those outside of each fold

    def __init__(self, buckets: int, tags: int):
        super().__init__()
        self.buckets = buckets
        self.register_buffer("weights", torch.zeros((1 + FOLDS) * buckets, tags))
        self.scale = nn.Parameter(torch.tensor(0.1))

    def set(self, weights: Sequence[Tensor]) -> None:
        """Sets the weights: (F, C) of a tagger of all rows, then of those of the rows outside of each fold."""
        self.weights.copy_(torch.cat(list(weights)))

    def forward(self, features: Tensor, fold: Tensor | None = None) -> Tensor:
        """features (B, W, K) -> scores (B, W, C). fold: (B,) of rows that are trained on."""
        if fold is not None:
            features = features + self.buckets * (1 + fold)[:, None, None]
        sums = embedding_bag(features.flatten(0, 1), self.weights, mode="sum")  # (B * W, C)
        return self.scale * sums.view(*features.shape[:2], -1)  # (B, W, C)
