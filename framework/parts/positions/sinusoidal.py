"""Sinusoidal position embeddings."""

from typing import ClassVar

import torch
from torch import Tensor

from framework.parts.positions.base import Position
from framework.registry import register


@register("position")
class SinusoidalPosition(Position):
    """Sinusoidal position embeddings, added to the token embeddings. Vaswani et al. 2017, section 3.5, https://arxiv.org/abs/1706.03762

    base: base of the geometric sequence of frequencies; the longest period is 2 pi times this many tokens.
    interleaved: sines and cosines alternate, as in the paper; otherwise all sines come first (tensor2tensor, fairseq, Marian).
    """

    provides: ClassVar = ("added",)
    rules: ClassVar[dict[str, str]] = {"base > 1": "base must be greater than 1"}

    def __init__(self, dim: int, base: float = 10000.0, interleaved: bool = True):
        super().__init__()
        self.dim, self.base, self.interleaved = dim, base, interleaved

    def embed(self, x: Tensor, positions: Tensor) -> Tensor:
        even = torch.arange(0, self.dim, 2, device=x.device, dtype=torch.float32)
        angles = positions[..., None] * self.base ** (-even / self.dim)  # (B or 1, T, D/2)
        pair = (angles.sin(), angles.cos())
        waves = torch.stack(pair, dim=-1).flatten(-2) if self.interleaved else torch.cat(pair, dim=-1)
        waves = waves[..., : self.dim]  # (B or 1, T, D)
        return x + waves.to(x.dtype)
