"""Where tokens stand, and the rotation that says so to queries and keys.

Shapes: B batch, T tokens, H heads, d head width, r rotated width (r <= d).
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RotaryEmbedding:
    """Rotary embedding: rotates the first r features of every head by an angle per position.

    cos, sin: (B or 1, 1, T, r/2). interleaved: pairs are neighbors (0,1), (2,3), ... instead of halves (i, i + r/2).
    """

    cos: Tensor
    sin: Tensor
    interleaved: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        """x: (B, H, T, d), turned."""
        half = self.cos.shape[-1]
        cos, sin = self.cos.to(x.dtype), self.sin.to(x.dtype)
        turned, rest = x[..., : 2 * half], x[..., 2 * half :]
        if self.interleaved:
            a, b = turned[..., 0::2], turned[..., 1::2]
            turned = torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(-2)
        else:
            a, b = turned[..., :half], turned[..., half:]
            turned = torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)
        return torch.cat((turned, rest), dim=-1) if rest.shape[-1] else turned


@dataclass(frozen=True)
class SequenceLayout:
    """The T tokens that enter now.

    positions: (B or 1, T), explicit, so that packing, left padding and caching agree.
    padding_mask: (B, T), True = a token; None when all are. rotary: None = no rotation.
    """

    positions: Tensor
    padding_mask: Tensor | None = None
    rotary: RotaryEmbedding | None = None

    def apply_rotary(self, x: Tensor) -> Tensor:
        """x: (B, H, T, d), rotated to its place."""
        return x if self.rotary is None else self.rotary(x)


def make_positions(ids: Tensor, padding_mask: Tensor | None = None, documents: Tensor | None = None) -> Tensor:
    """The positions of ids (B, T) where nobody gives them: (1, T), or (B, T) where rows differ.

    Tokens alone count, so that padding on either side moves none (padding stands where the token before it stands), and every
    document of a packed row begins at 0.
    """
    if padding_mask is None:
        positions = torch.arange(ids.shape[1], device=ids.device)[None]
    else:
        positions = (padding_mask.cumsum(1) - 1).clamp(min=0)
    if documents is not None:
        positions = positions.expand_as(documents)
        begins = torch.ones_like(documents, dtype=torch.bool)
        begins[:, 1:] = documents[:, 1:] != documents[:, :-1]
        positions = positions - positions.where(begins, 0).cummax(1).values
    return positions
