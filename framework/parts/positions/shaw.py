"""Relative position vectors, with which queries are multiplied as with keys."""

from typing import ClassVar

from torch import Tensor, nn

from framework.parts.positions.base import Position
from framework.registry import register


@register("position")
class ShawPosition(Position):
    """Learned vectors of distances, added to the keys. Shaw et al. 2018, section 3.2 (equation 4), https://arxiv.org/abs/1803.02155

    The score of a query with a key is q (k + a) / sqrt(d), a the vector of their distance. One table serves all heads and layers of a
    stack. The paper's vectors on the values are left out: they add nothing to those on the keys (section 4.3, table 3).

    distance: the vector of keys at least this far away is one, to the left and to the right.
    """

    provides: ClassVar = ("relative",)
    rules: ClassVar[dict[str, str]] = {
        "0 < distance <= 2**16": "distance must be positive, and at most 2**16",
        "'relative_scores' in provided": "shaw multiplies queries by vectors of distances: choose attention=multi_head or differential",
    }

    def __init__(self, head_dim: int, causal: bool, distance: int = 16):
        super().__init__()
        self.distance, self.causal = distance, causal
        self.table = nn.Embedding(distance + 1 if causal else 2 * distance + 1, head_dim)

    def relative(self, query: Tensor, queries: Tensor, keys: Tensor) -> Tensor | None:
        offset = keys[:, None, :] - queries[:, :, None]  # (B or 1, T, S)
        place = offset.clamp(-self.distance, 0 if self.causal else self.distance) + self.distance
        scores = query @ self.table.weight.mT.to(query.dtype)  # (B, H, T, number of vectors)
        return scores.gather(-1, place[:, None].expand(*scores.shape[:2], -1, -1))  # (B, H, T, S)
