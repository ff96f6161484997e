"""Norms. Context arguments: dim, epsilon, bias."""

from torch import nn

from framework.registry import register


@register("norm")
class LayerNorm(nn.LayerNorm):
    """Layer normalization. Ba et al. 2016, section 3, https://arxiv.org/abs/1607.06450"""

    def __init__(self, dim: int, epsilon: float, bias: bool):
        super().__init__(dim, eps=epsilon, bias=bias)


@register("norm")
class RMSNorm(nn.RMSNorm):
    """Root mean square normalization, without bias. Zhang and Sennrich 2019, section 3, https://arxiv.org/abs/1910.07467"""

    def __init__(self, dim: int, epsilon: float):
        super().__init__(dim, eps=epsilon)


@register("norm", "none")
class NoNorm(nn.Identity):
    """No normalization: the identity."""

    def __init__(self) -> None:
        super().__init__()
