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

    def turn(self, positions: Tensor, width: int) -> Turn | None:
        return self._turn(positions, width, self.base)

    def turn_windowed(self, positions: Tensor, width: int, window: int) -> Turn | None:
        return self._turn(positions, width, self.local_base)

    def _turn(self, positions: Tensor, width: int, base: float) -> Turn:
        turned = int(width * self.fraction) // 2 * 2
        if not turned:
            raise UserError(f"rotary needs a pair of features to turn: {self.fraction} of {width} features of a head is less than two")
        return rotation(positions, speeds(turned, base, positions.device), self.interleaved)


def speeds(width: int, base: float, device: torch.device) -> Tensor:
    """How far each pair of `width` features turns from one place to the next, (r/2,).

    Not a buffer: one would be rounded with the module (bfloat16), and 10000 is no angle to round.
    """
    even = torch.arange(0, width, 2, device=device, dtype=torch.float32)
    return 1.0 / base ** (even / width)  # in this order: at place 8,000 the last digit of another one shows


def rotation(positions: Tensor, speeds: Tensor, interleaved: bool) -> Turn:
    """The turn of pairs with these speeds (r/2,) at positions (B or 1, T)."""
    angles = (positions[..., None] * speeds)[:, None]  # (B or 1, 1, T, r/2)
    return Turn(angles.cos(), angles.sin(), interleaved)
