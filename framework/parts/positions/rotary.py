"""Places as angles."""

from typing import ClassVar

import torch
from torch import Tensor

from framework.errors import UserError
from framework.parts.places import Turn
from framework.parts.positions.base import Position
from framework.registry import register


@register("position")
class RotaryPosition(Position):
    """Rotates queries and keys by the place, so that scores see distances. Su et al. 2021, section 3.2, https://arxiv.org/abs/2104.09864

    base: the slowest pair of features turns once in about 2 pi times this many tokens.
    fraction: share of the features of a head that turn; the rest carry no place (GPT-J, Pythia).
    interleaved: pairs are neighbors, as in the paper; otherwise feature i goes with feature i + half, as in Llama.
    """

    rules: ClassVar[dict[str, str]] = {
        "0 < fraction <= 1": "a share of the features turns",
        "base > 1": "the pairs turn slower from one to the next",
    }

    def __init__(self, base: float = 10000.0, fraction: float = 1.0, interleaved: bool = False):
        super().__init__()
        self.base, self.fraction, self.interleaved = base, fraction, interleaved

    def turn(self, positions: Tensor, width: int) -> Turn | None:
        turned = int(width * self.fraction) // 2 * 2
        if not turned:
            raise UserError(f"rotary needs a pair of features to turn: {self.fraction} of {width} features of a head is less than two")
        # Not a buffer: one would be rounded with the module (bfloat16), and 10000 is no angle to round.
        even = torch.arange(0, turned, 2, device=positions.device, dtype=torch.float32)
        angles = (positions[..., None] * self.base ** (-even / turned))[:, None]  # (B or 1, 1, T, r/2)
        return Turn(angles.cos(), angles.sin(), self.interleaved)
