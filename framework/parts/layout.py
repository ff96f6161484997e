"""Token positions and rotary embeddings.

Shapes: B batch, T tokens, H heads, d head dimension, r rotated features of a head (r <= d).
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class RotaryEmbedding:
    """Rotation of the first r features of every head by an angle per position.

    cos, sin: (B or 1, 1, T, r/2). interleaved: pairs are neighbors (0,1), (2,3), ... instead of halves (i, i + r/2).

    >>> rotary = Part("position/rotary")().rotary(torch.arange(3)[None], 4)
    >>> isinstance(rotary, RotaryEmbedding), rotary(torch.randn(1, 2, 3, 8)).shape
    (True, torch.Size([1, 2, 3, 8]))
    """

    cos: Tensor
    sin: Tensor
    interleaved: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        """Queries or keys x (B, H, T, d), rotated."""
        half = self.cos.shape[-1]
        cos, sin = self.cos.to(x.dtype), self.sin.to(x.dtype)
        rotated, rest = x[..., : 2 * half], x[..., 2 * half :]
        if self.interleaved:
            a, b = rotated[..., 0::2], rotated[..., 1::2]
            rotated = torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(-2)
        else:
            a, b = rotated[..., :half], rotated[..., half:]
            rotated = torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)
        return torch.cat((rotated, rest), dim=-1) if rest.shape[-1] else rotated

    def times(self, factor: float) -> "RotaryEmbedding":
        """The rotation that also multiplies the rotated features."""
        return RotaryEmbedding(self.cos * factor, self.sin * factor, self.interleaved)


@dataclass(frozen=True)
class SequenceLayout:
    """Positions and padding mask of the T tokens of one call.

    positions: (B or 1, T), explicit, so that packing, left padding and caching agree.
    padding_mask: (B, T), True = token; None = no padding. rotary: None = queries and keys are not rotated.
    shared: what layers of one pass over a stack hand to later ones: a part writes under its own name, with the number of its layer, since a
        layer may be computed a second time (activation checkpointing). None = there is one layer alone.

    >>> layout = SequenceLayout(torch.arange(3)[None], padding_mask=torch.tensor([[True, True, False]]))
    >>> layout.apply_rotary(torch.ones(1, 1, 3, 4)).equal(torch.ones(1, 1, 3, 4))  # no rotary embedding: unchanged
    True
    """

    positions: Tensor
    padding_mask: Tensor | None = None
    rotary: RotaryEmbedding | None = None
    shared: dict[str, Any] | None = field(default=None, repr=False, compare=False)

    def apply_rotary(self, x: Tensor) -> Tensor:
        """Queries or keys x (B, H, T, d), rotated by their positions."""
        return x if self.rotary is None else self.rotary(x)


def make_positions(ids: Tensor, padding_mask: Tensor | None = None, documents: Tensor | None = None) -> Tensor:
    """Positions of ids (B, T): (1, T), or (B, T) where rows differ.

    Only tokens are counted, so padding shifts no position; a padding token repeats the position before it. Every document of a
    packed row starts at 0.
    """
    if padding_mask is None:
        positions = torch.arange(ids.shape[1], device=ids.device)[None]
    else:
        positions = (padding_mask.cumsum(1) - 1).clamp(min=0)
    if documents is not None:
        positions = positions.expand_as(documents)
        starts = torch.ones_like(documents, dtype=torch.bool)
        starts[:, 1:] = documents[:, 1:] != documents[:, :-1]
        positions = positions - positions.where(starts, 0).cummax(1).values
    return positions
