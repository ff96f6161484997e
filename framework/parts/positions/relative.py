"""Relative position bias by buckets of distances."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from framework.parts.positions.base import Position
from framework.registry import register


@register("position")
class RelativePosition(Position):
    """Learned bias on the scores by the bucket of the distance. Raffel et al. 2020 (T5), section 2.1, https://arxiv.org/abs/1910.10683

    buckets: number of learned biases per head; a bidirectional stack uses half of them for each direction.
    distance: distances of at least this many tokens share the last bucket.
    """

    provides: ClassVar = ("bias",)
    rules: ClassVar[dict[str, str]] = {
        "buckets >= 4": "buckets must be at least 4",
        "causal or buckets % 2 == 0": "buckets must be even in a bidirectional stack",
        "distance > buckets // 2": "distance must be greater than half of buckets",
    }

    def __init__(self, num_heads: int, causal: bool, buckets: int = 32, distance: int = 128):
        super().__init__()
        self.causal, self.distance = causal, distance
        self.table = nn.Embedding(buckets, num_heads)

    def bias(self, queries: Tensor, keys: Tensor) -> Tensor | None:
        return self.table(self.bucket(keys[:, None, :] - queries[:, :, None])).permute(0, 3, 1, 2)  # (B or 1, H, T, S)

    def bucket(self, offset: Tensor) -> Tensor:
        """The bucket of a key `offset` tokens to the right of its query."""
        count, first = self.table.num_embeddings, torch.zeros_like(offset)
        if not self.causal:
            count //= 2
            first = (offset > 0) * count
        distance = (-offset).clamp(min=0) if self.causal else offset.abs()
        exact = count // 2
        share = torch.log(distance.clamp(min=1).float() / exact) / math.log(self.distance / exact)
        far = (exact + (share * (count - exact)).long()).clamp(max=count - 1)
        return first + torch.where(distance < exact, distance, far)
