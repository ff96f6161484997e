"""Rotary position embeddings scaled for texts longer than those of training (rope scaling of Llama 3)."""

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
    """Rotary position embedding whose low frequencies are divided by a factor, for longer texts (Llama 3.1).

    "NTK-by-parts": Peng et al. 2023, section 3.2, https://arxiv.org/abs/2309.00071, without that paper's temperature; as in
    https://github.com/meta-llama/llama-models/blob/main/models/llama3/model.py (apply_scaling)

    base: base of the geometric sequence of frequencies before scaling; the longest period is about 2 pi times this many tokens.
    interleaved: pairs are neighbors; otherwise features i and i + half, as in Llama.
    factor: divisor of the low frequencies.
    trained_length: longest text of training, in tokens.
    slow: frequencies with fewer periods than this in trained_length tokens are divided by factor (low_freq_factor).
    fast: frequencies with more periods than this are unchanged; in between they are interpolated (high_freq_factor).
    """

    provides: ClassVar = ("rotary",)
    rules: ClassVar[dict[str, str]] = {
        "base > 1": "base must be greater than 1",
        "factor >= 1 and trained_length > 0": "factor must be at least 1 and trained_length positive",
        "0 <= slow < fast": "slow must not be negative and must be less than fast",
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
            raise UserError(f"scaled_rotary needs at least two features of a head, which has {dim}")
        original = inv_freq(rotary_dim, self.base, positions.device)
        periods = self.trained_length / (2 * math.pi / original)  # (r/2,) in a text of trained_length
        share = ((periods - self.slow) / (self.fast - self.slow)).clamp(0, 1)
        return rotary_embedding(positions, (1 - share) * original / self.factor + share * original, self.interleaved)
