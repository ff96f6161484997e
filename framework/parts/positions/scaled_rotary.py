"""Places as angles, for texts longer than those that were learned from."""

import math
from typing import ClassVar

from torch import Tensor

from framework.errors import UserError
from framework.parts.layout import RotaryEmbedding
from framework.parts.positions.base import Position
from framework.parts.positions.rotary import inv_freq, rotary_embedding
from framework.registry import register


@register("position")
class ScaledRotaryPosition(Position):
    """Rotary positions whose slow pairs turn slower still, so that a longer text has no angle that was never learned.

    "NTK-by-parts": Peng et al. 2023, section 3.2, https://arxiv.org/abs/2309.00071. As Llama 3.1 has it, without that paper's temperature:
    https://github.com/meta-llama/llama-models/blob/main/models/llama3/model.py (apply_scaling)

    base: the slowest pair of features turns once in about 2 pi times this many tokens, before it is slowed.
    interleaved: pairs are neighbors; otherwise feature i goes with feature i + half, as in Llama.
    factor: how much slower the slow pairs turn.
    trained_length: tokens of the texts that were learned from.
    slow: pairs that turn less often than this in a text of trained_length are slowed by the whole factor.
    fast: pairs that turn more often than this are left alone; between slow and fast it is a mixture.
    """

    rules: ClassVar[dict[str, str]] = {
        "base > 1": "the pairs turn slower from one to the next",
        "factor >= 1 and trained_length > 0": "a text gets longer than those that were learned from",
        "0 <= slow < fast": "what is slow turns less often than what is fast",
    }

    def __init__(
        self,
        base: float = 10000.0,
        interleaved: bool = False,
        factor: float = 8.0,
        trained_length: int = 8192,
        slow: float = 1.0,
        fast: float = 4.0,
    ):
        super().__init__()
        self.base, self.interleaved = base, interleaved
        self.factor, self.trained_length, self.slow, self.fast = factor, trained_length, slow, fast

    def rotary(self, positions: Tensor, dim: int, window: int | None = None) -> RotaryEmbedding | None:
        rotary_dim = dim // 2 * 2
        if not rotary_dim:
            raise UserError(f"scaled_rotary needs a pair of features to turn: a head has {dim}")
        plain = inv_freq(rotary_dim, self.base, positions.device)
        turns = self.trained_length / (2 * math.pi / plain)  # (r/2,) of each pair in a text of trained_length
        kept = ((turns - self.slow) / (self.fast - self.slow)).clamp(0, 1)
        return rotary_embedding(positions, (1 - kept) * plain / self.factor + kept * plain, self.interleaved)
