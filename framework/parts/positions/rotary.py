"""Rotary position embeddings (RoPE)."""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from framework.errors import UserError
from framework.parts.layout import RotaryEmbedding
from framework.parts.positions.base import Position
from framework.parts.positions.rotary_scaling import Scaling, multiplier, scaled
from framework.registry import register


@register("position")
class RotaryPosition(Position):
    """Rotary position embedding of queries and keys (RoPE). Su et al. 2021, section 3.2, https://arxiv.org/abs/2104.09864

    base: base of the geometric sequence of frequencies; the longest period is about 2 pi times this many tokens.
    fraction: share of the features of a head that are rotated (GPT-J, Pythia).
    interleaved: pairs are neighbors, as in the paper; otherwise features i and i + half, as in Llama.
    local_base: the base in layers with a window, whose frequencies are not scaled then; null = base. Warner et al. 2024 (ModernBERT),
        section 2.1.2, https://arxiv.org/abs/2412.13663
    scaling: how frequencies are lowered for texts longer than those of training; null = they are not. linear: all are divided by factor,
        Chen et al. 2023, section 2.3, https://arxiv.org/abs/2306.15595. ntk: the slowest is divided by factor and the fastest stays.
        yarn: the slow ones are divided by factor, and scores have a temperature; both Peng et al. 2023, section 3,
        https://arxiv.org/abs/2309.00071. llama3: the slow ones are divided by factor, as in
        https://github.com/meta-llama/llama-models/blob/main/models/llama3/model.py (apply_scaling).
    factor: of the scaling: the length of texts over that in training.
    trained_length: longest text of training, in tokens (llama3, yarn).
    slow: frequencies with fewer periods than this in trained_length tokens are divided by factor (low_freq_factor, beta_slow).
    fast: frequencies with more periods than this are unchanged, in between they are interpolated (high_freq_factor, beta_fast); null = 4,
        with yarn 32.
    temperature: multiplier of the rotated queries and keys with yarn; null = 0.1 ln(factor) + 1, section 3.4 of its paper.
    truncate: whether yarn interpolates between whole pairs, as in the code of its paper; gpt-oss does not.
    """

    provides: ClassVar = ("rotary",)
    rules: ClassVar[dict[str, str]] = {
        "0 < fraction <= 1": "fraction must be in (0, 1]",
        "fraction < 1 or 'odd_heads' not in provided": "rotary turns pairs of features; dim / num_heads (or head_dim) must be even",
        "base > 1 and (local_base is None or local_base > 1)": "base and local_base must be greater than 1",
        "factor >= 1 and trained_length > 0": "factor must be at least 1 and trained_length positive",
        "0 <= slow": "slow must not be negative",
        "fast is None or slow < fast": "slow must be less than fast",
        "fast is not None or slow < (32 if scaling == 'yarn' else 4)": "slow must be less than fast, which is 4 or with yarn 32",
        "scaling != 'yarn' or slow > 0": "slow must be positive with yarn",
        "temperature is None or 0 < temperature < 1e6": "temperature must be positive and below 1,000,000",
    }

    def __init__(
        self,
        base: float = 10000.0,
        fraction: float = 1.0,
        interleaved: bool = False,
        local_base: float | None = None,
        scaling: Literal["linear", "ntk", "yarn", "llama3"] | None = None,
        factor: float = 8.0,
        trained_length: int = 8192,
        slow: float = 1.0,
        fast: float | None = None,
        temperature: float | None = None,
        truncate: bool = True,
    ):
        super().__init__()
        self.base, self.fraction, self.interleaved, self.local_base = base, fraction, interleaved, local_base
        self.scaling = None if scaling is None else Scaling(scaling, factor, trained_length, slow, fast, temperature, truncate)

    def rotary(self, positions: Tensor, dim: int, window: int | None = None) -> RotaryEmbedding | None:
        rotary_dim = int(dim * self.fraction) // 2 * 2
        if not rotary_dim:
            raise UserError(f"rotary needs at least two features of a head: fraction={self.fraction} of {dim} is less")
        if window is not None and self.local_base is not None:
            return rotary_embedding(positions, inv_freq(rotary_dim, self.local_base, positions.device), self.interleaved)
        frequencies = inv_freq(rotary_dim, self.base, positions.device)
        if self.scaling is None:
            return rotary_embedding(positions, frequencies, self.interleaved)
        embedding = rotary_embedding(positions, scaled(frequencies, self.base, self.scaling), self.interleaved)
        return embedding.times(multiplier(self.scaling)) if self.scaling.kind == "yarn" else embedding


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
