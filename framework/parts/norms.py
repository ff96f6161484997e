"""Norms. Context arguments: dim, epsilon, bias."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from framework.registry import register


@register("norm")
class LayerNorm(nn.LayerNorm):
    """Layer normalization. Ba et al. 2016, section 3, https://arxiv.org/abs/1607.06450"""

    def __init__(self, dim: int, epsilon: float, bias: bool):
        super().__init__(dim, eps=epsilon, bias=bias)


@register("norm")
class RMSNorm(nn.RMSNorm):
    """Root mean square normalization, without bias. Zhang and Sennrich 2019, section 3, https://arxiv.org/abs/1910.07467

    zero_centered: the weights are those of the paper less 1, so that weight decay draws them to 1 (Gemma).
    """

    def __init__(self, dim: int, epsilon: float, zero_centered: bool = False):
        self.zero_centered = zero_centered
        super().__init__(dim, eps=epsilon)

    def reset_parameters(self) -> None:
        nn.init.constant_(self.weight, 0.0 if self.zero_centered else 1.0)

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, self.normalized_shape, self.weight + 1 if self.zero_centered else self.weight, self.eps)


@register("norm")
class DynamicTanh(nn.Module):
    """Dynamic tanh in place of a norm: weight * tanh(alpha * x) + bias, alpha learned. Zhu et al. 2025, section 4, https://arxiv.org/abs/2503.10622

    alpha: initial value of the learned factor.
    """

    rules: ClassVar[dict[str, str]] = {"0 < alpha < 1e6": "alpha must be positive and below 1,000,000"}

    def __init__(self, dim: int, bias: bool, alpha: float = 0.5):
        super().__init__()
        self.alpha = nn.Parameter(torch.tensor(float(alpha)))
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(self.alpha * x) * self.weight
        return y if self.bias is None else y + self.bias


@register("norm", "none")
class NoNorm(nn.Identity):
    """No normalization: the identity."""

    def __init__(self) -> None:
        super().__init__()
