"""Rotary position embeddings (RoPE), and those scaled for texts longer than those of training (rope scaling of Llama 3)."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from framework.errors import UserError
from framework.parts.layout import RotaryEmbedding
from framework.parts.positions.base import Position
from framework.registry import register


@register("position")
class RotaryPosition(Position):
    """Rotary position embedding of queries and keys (RoPE). Su et al. 2021, section 3.2, https://arxiv.org/abs/2104.09864

    base: base of the geometric sequence of frequencies; the longest period is about 2 pi times this many tokens.
    fraction: share of the features of a head that are rotated (GPT-J, Pythia).
    interleaved: pairs are neighbors, as in the paper; otherwise features i and i + half, as in Llama.
    local_base: the base in layers with a window; null = base. Warner et al. 2024 (ModernBERT),
        section 2.1.2, https://arxiv.org/abs/2412.13663
    """

    provides: ClassVar = ("rotary",)
    rules: ClassVar[dict[str, str]] = {
        "0 < fraction <= 1": "fraction must be in (0, 1]",
        "fraction < 1 or 'odd_heads' not in provided": "rotary turns pairs of features; dim / num_heads (or head_dim) must be even",
        "base > 1 and (local_base is None or local_base > 1)": "base and local_base must be greater than 1",
    }

    def __init__(self, base: float = 10000.0, fraction: float = 1.0, interleaved: bool = False, local_base: float | None = None):
        super().__init__()
        self.base, self.fraction, self.interleaved = base, fraction, interleaved
        self.local_base = base if local_base is None else local_base

    def rotary(self, positions: Tensor, dim: int, window: int | None = None) -> RotaryEmbedding | None:
        rotary_dim = int(dim * self.fraction) // 2 * 2
        if not rotary_dim:
            raise UserError(f"rotary needs at least two features of a head: fraction={self.fraction} of {dim} is less")
        base = self.base if window is None else self.local_base
        return rotary_embedding(positions, inv_freq(rotary_dim, base, positions.device), self.interleaved)


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


def inv_freq(dim: int, base: float, device: torch.device) -> Tensor:
    """Inverse frequencies of `dim` rotated features: radians per token of each pair, (dim/2,).

    Not a buffer: `module.to(bfloat16)` would round it.
    """
    even = torch.arange(0, dim, 2, device=device, dtype=torch.float32)
    return 1.0 / base ** (even / dim)  # this order of operations is that of published models: at position 8,000 the last digit shows


def rotary_embedding(positions: Tensor, inv_freq: Tensor, interleaved: bool) -> RotaryEmbedding:
    """The rotary embedding with inverse frequencies (r/2,) at positions (B or 1, T)."""
    angles = (positions[..., None] * inv_freq)[:, None]  # (B or 1, 1, T, r/2)
    return RotaryEmbedding(angles.cos(), angles.sin(), interleaved)
