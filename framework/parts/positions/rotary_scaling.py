"""Frequencies of rotary embeddings, lowered for texts longer than those of training."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Scaling:
    """The options of `RotaryPosition` for texts longer than those of training.

    kind: linear, ntk, yarn or llama3. fast, temperature: None = that of the kind.
    """

    kind: str
    factor: float
    trained_length: int
    slow: float
    fast: float | None
    temperature: float | None = None
    truncate: bool = True


def scaled(frequencies: Tensor, base: float, scaling: Scaling) -> Tensor:
    """Frequencies (r/2,) of rotary embeddings with this base, in radians per token, lowered as `RotaryPosition` says."""
    pairs = len(frequencies)
    if scaling.kind == "linear":
        return frequencies / scaling.factor
    if scaling.kind == "ntk":  # "NTK-aware" interpolation, Peng et al. 2023, section 3.1
        even = torch.arange(pairs, device=frequencies.device, dtype=frequencies.dtype)
        return frequencies * scaling.factor ** (-even / max(pairs - 1, 1))
    if scaling.kind == "llama3":
        periods = scaling.trained_length / (2 * math.pi / frequencies)  # in a text of trained_length
        share = ((periods - scaling.slow) / ((scaling.fast or 4.0) - scaling.slow)).clamp(0, 1)
        return (1 - share) * frequencies / scaling.factor + share * frequencies
    first, last = (yarn_pair(periods, base, pairs, scaling.trained_length) for periods in (scaling.fast or 32.0, scaling.slow))
    if scaling.truncate:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, 2 * pairs - 1)
    number = torch.arange(pairs, device=frequencies.device, dtype=frequencies.dtype)
    share = 1 - ((number - first) / (last - first or 0.001)).clamp(0, 1)
    return (1 - share) * frequencies / scaling.factor + share * frequencies


def yarn_pair(periods: float, base: float, pairs: int, length: int) -> float:
    """The number of the pair that turns this often in so many tokens, as in the code of the paper (its ramp is over pairs, not periods):
    https://github.com/jquesnelle/yarn/blob/master/scaled_rope/LlamaYaRNScaledRotaryEmbedding.py (find_correction_dim)"""
    return pairs * math.log(length / (periods * 2 * math.pi)) / math.log(base)


def multiplier(scaling: Scaling) -> float:
    """The factor of queries and of keys of YaRN, whose square multiplies the scores. Peng et al. 2023, section 3.4, equation 22"""
    return 0.1 * math.log(scaling.factor) + 1.0 if scaling.temperature is None else scaling.temperature
