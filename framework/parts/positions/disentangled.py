"""Disentangled attention: vectors of distances, which an attention projects as it projects tokens."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from framework.parts.positions.base import Position
from framework.registry import Part, choice, register


@register("position")
class DisentangledPosition(Position):
    """Learned vectors of distances as further queries and keys. He et al. 2021 (DeBERTa), section 3.1, https://arxiv.org/abs/2006.03654

    The score of query i with key j is scale * (q k + q k' + q' k), k' and q' the key and the query of the vector of their distance, by the
    maps of the layer itself (He et al. 2023, DeBERTaV3, https://arxiv.org/abs/2111.09543). The paper's scale is 1 / sqrt(3 head_dim).

    buckets: vectors of each direction; those of the nearer half of distances are exact, those of farther ones logarithmic.
    distance: distances of about this many tokens, and farther ones, share the last vector.
    norm: the norm of the vectors.
    """

    provides: ClassVar = ("vectors",)
    rules: ClassVar[dict[str, str]] = {
        "4 <= buckets <= 2**20": "buckets must be at least 4, and at most 2**20",
        "distance <= 2**24": "distance must be at most 2**24",
        "distance > buckets // 2 + 1": "distance must be greater than half of buckets by more than 1",
        "'projected_vectors' in provided": "disentangled projects vectors of distances in each layer: choose attention=multi_head",
        "embedding_dim is None or embedding_dim == dim": "vectors of distances are as wide as the model: embedding_dim must be null",
    }

    def __init__(self, dim: int, epsilon: float, bias: bool, buckets: int = 256, distance: int = 512, norm: Part = choice("norm", "layer")):
        super().__init__()
        self.buckets, self.distance = buckets, distance
        self.table = nn.Embedding(2 * buckets, dim)
        self.norm = norm(dim=dim, epsilon=epsilon, bias=bias)

    def vectors(self, queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor] | None:
        return self.norm(self.table.weight), self.place(queries[:, :, None] - keys[:, None, :])

    def place(self, offset: Tensor) -> Tensor:
        """The place in the table of the vector of a key `offset` tokens to the left of its query. As in
        https://github.com/microsoft/DeBERTa/blob/master/DeBERTa/deberta/da_utils.py (make_log_bucket_position)"""
        middle, distance = self.buckets // 2, offset.abs()
        far = distance.clamp(min=middle).float()
        share = (far / middle).log() / torch.full_like(far, (self.distance - 1) / middle).log()
        bucket = torch.where(distance <= middle, distance, (share * (middle - 1)).ceil().long() + middle)
        return (offset.sign() * bucket + self.buckets).clamp(0, 2 * self.buckets - 1)
