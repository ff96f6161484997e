"""Scores of tags that are linear in the features of words.

Shapes: B batch, W words (or T subwords), K features of a word, C tags.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag


class LinearScores(nn.Module):
    """The weights of a linear tagger, found before the training of a model and added to its scores afterwards: a product of experts.
    Hinton 2002, https://doi.org/10.1162/089976602760128018

    Weights are zero until `set`, and are no parameters: a model that trained beside them would learn nothing, because a linear tagger makes
    hardly an error on the rows of its own training.

    buckets: bound of the features. tags: their number. scale: of the scores; a perceptron's have no unit of probability.
    """

    weights: Tensor  # (buckets, C)

    def __init__(self, buckets: int, tags: int, scale: float):
        super().__init__()
        self.register_buffer("weights", torch.zeros(buckets, tags))
        self.scale = scale

    def set(self, weights: Tensor) -> None:
        self.weights.copy_(weights)

    def forward(self, features: Tensor) -> Tensor:
        """features (B, W, K) -> scores (B, W, C)."""
        sums = embedding_bag(features.flatten(0, 1), self.weights, mode="sum")  # (B * W, C)
        return self.scale * sums.view(*features.shape[:2], -1)  # (B, W, C)
