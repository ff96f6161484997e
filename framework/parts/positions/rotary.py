"""Places as angles."""

from typing import ClassVar

import torch
from torch import Tensor

from framework.errors import UserError
from framework.parts.layout import RotaryEmbedding
from framework.parts.positions.base import Position
from framework.registry import register


@register("position")
class RotaryPosition(Position):
    """Rotates queries and keys by the place, so that scores see distances. Su et al. 2021, section 3.2, https://arxiv.org/abs/2104.09864

    base: the slowest pair of features turns once in about 2 pi times this many tokens.
    fraction: share of the features of a head that turn; the rest carry no place (GPT-J, Pythia).
    interleaved: pairs are neighbors, as in the paper; otherwise feature i goes with feature i + half, as in Llama.
    local_base: the base in layers that have a window, which see near tokens alone; null = base. Warner et al. 2024 (ModernBERT),
        section 2.1.2, https://arxiv.org/abs/2412.13663
    """

    rules: ClassVar[dict[str, str]] = {
        "0 < fraction <= 1": "a share of the features turns",
        "base > 1 and (local_base is None or local_base > 1)": "the pairs turn slower from one to the next",
    }

    def __init__(self, base: float = 10000.0, fraction: float = 1.0, interleaved: bool = False, local_base: float | None = None):
        super().__init__()
        self.base, self.fraction, self.interleaved = base, fraction, interleaved
        self.local_base = base if local_base is None else local_base

    def rotary(self, positions: Tensor, dim: int, window: int | None = None) -> RotaryEmbedding | None:
        rotary_dim = int(dim * self.fraction) // 2 * 2
        if not rotary_dim:
            raise UserError(f"rotary needs a pair of features to turn: {self.fraction} of {dim} features of a head is less than two")
        base = self.base if window is None else self.local_base
        return rotary_embedding(positions, inv_freq(rotary_dim, base, positions.device), self.interleaved)


def inv_freq(dim: int, base: float, device: torch.device) -> Tensor:
    """How far each pair of `dim` features turns from one place to the next, (r/2,).

    Not a buffer: one would be rounded with the module (bfloat16), and 10000 is no angle to round.
    """
    even = torch.arange(0, dim, 2, device=device, dtype=torch.float32)
    return 1.0 / base ** (even / dim)  # in this order: at place 8,000 the last digit of another one shows


def rotary_embedding(positions: Tensor, inv_freq: Tensor, interleaved: bool) -> RotaryEmbedding:
    """The rotary embedding of pairs with inverse frequencies inv_freq (r/2,) at positions (B or 1, T)."""
    angles = (positions[..., None] * inv_freq)[:, None]  # (B or 1, 1, T, r/2)
    return RotaryEmbedding(angles.cos(), angles.sin(), interleaved)
