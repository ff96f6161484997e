"""Scores of tags that are linear in the features of words.

Shapes: B batch, W words (or T subwords), K features of a word, C tags.
"""

import torch
from torch import Tensor, nn


class LinearScores(nn.Module):
    """Linear map of hashed features to scores of tags, the wide part of a wide and deep model. Cheng et al. 2016, section 3.1,
    https://arxiv.org/abs/1606.07792

    Weights begin at zero. dropout: probability that training leaves out a feature of a word. scale: factor of the scores, and so of the
    learning rate of the weights under Adam, whose steps do not depend on the size of gradients.
    """

    def __init__(self, buckets: int, tags: int, dropout: float, scale: float):
        super().__init__()
        self.weights = nn.EmbeddingBag(buckets, tags, mode="sum")
        nn.init.zeros_(self.weights.weight)
        self.dropout = nn.Dropout(dropout)
        self.scale = scale

    def forward(self, features: Tensor) -> Tensor:
        """features (B, W, K), each below `buckets` -> scores (B, W, C)."""
        kept = self.dropout(torch.full(features.shape, self.scale, device=features.device, dtype=self.weights.weight.dtype))
        scores = self.weights(features.flatten(0, 1), per_sample_weights=kept.flatten(0, 1))  # (B * W, C)
        return scores.view(*features.shape[:2], -1)  # (B, W, C)
