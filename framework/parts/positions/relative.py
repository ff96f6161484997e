"""A learned score for every distance."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from framework.parts.positions.base import Position
from framework.registry import register


@register("position")
class RelativePosition(Position):
    """Adds a learned number for the distance to each score. Raffel et al. 2020 (T5), section 2.1, https://arxiv.org/abs/1910.10683

    buckets: learned distances; half of them for each direction where a stack looks both ways.
    distance: from this many tokens on, everything is in the last bucket.
    """

    provides: ClassVar = ("bias",)
    rules: ClassVar[dict[str, str]] = {
        "buckets >= 4": "a direction has a bucket for near and one for far",
        "causal or buckets % 2 == 0": "a stack that looks both ways has as many buckets to the left as to the right",
        "distance > buckets // 2": "the far half of the buckets gets wider with the distance",
    }

    def __init__(self, num_heads: int, causal: bool, buckets: int = 32, distance: int = 128):
        super().__init__()
        self.causal, self.distance = causal, distance
        self.table = nn.Embedding(buckets, num_heads)

    def bias(self, queries: Tensor, keys: Tensor) -> Tensor | None:
        return self.table(self.bucket(keys[:, None, :] - queries[:, :, None])).permute(0, 3, 1, 2)  # (B or 1, H, T, S)

    def bucket(self, offset: Tensor) -> Tensor:
        """The bucket of a key that stands `offset` tokens to the right of its query."""
        count, first = self.table.num_embeddings, torch.zeros_like(offset)
        if not self.causal:
            count //= 2
            first = (offset > 0) * count
        distance = (-offset).clamp(min=0) if self.causal else offset.abs()
        exact = count // 2
        share = torch.log(distance.clamp(min=1).float() / exact) / math.log(self.distance / exact)
        far = (exact + (share * (count - exact)).long()).clamp(max=count - 1)
        return first + torch.where(distance < exact, distance, far)
