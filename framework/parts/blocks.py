"""Blocks: how a layer wires its sublayers to the residual stream.

A block gets the sublayers of its layer (attention, cross-attention if any, feed-forward), in order, as calls `x -> y` of the
same shape (B, T, D). It owns the norms and the residual dropout.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar

from torch import Tensor, nn

from framework.parts.dropout import Dropout
from framework.registry import Part, register

Sublayer = Callable[[Tensor], Tensor]


class Block(nn.Module):
    """Base class of blocks. Context arguments: dim, num_heads, num_layers, dropout, bias, epsilon, layer (from 0), sublayers (their
    number), norm (a Part, called with dim, epsilon, bias).

    final_norm: whether a stack of these blocks needs a norm after the last layer.

    >>> block = Part("block/pre_norm")(dim=8, dropout=0.0, bias=True, epsilon=1e-5, layer=0, sublayers=2, norm=Part("norm/layer"))
    >>> block(torch.ones(1, 3, 8), (torch.zeros_like, torch.zeros_like)).equal(torch.ones(1, 3, 8))  # the residual stream alone
    True
    """

    final_norm: ClassVar[bool] = False
    rules: ClassVar[dict[str, str]] = {}
    provides: ClassVar[tuple[str, ...]] = ()

    def forward(self, x: Tensor, sublayers: Sequence[Sublayer]) -> Tensor:
        raise NotImplementedError

    def initialize_layer(self, layer: nn.Module, std: float) -> None:
        """Sets initial weights of the sublayers of its layer, after they have set their own. std: the model's `initial_std`."""


class NormedBlock(Block):
    """A block with one norm for each sublayer."""

    def __init__(self, dim: int, dropout: float, bias: bool, epsilon: float, sublayers: int, norm: Part):
        super().__init__()
        self.norms = nn.ModuleList(norm(dim=dim, epsilon=epsilon, bias=bias) for _ in range(sublayers))
        self.dropout = Dropout(dropout)


@register("block")
class PreNormBlock(NormedBlock):
    """Norm before each sublayer: x + sublayer(norm(x)). Xiong et al. 2020, figure 1b, https://arxiv.org/abs/2002.04745

    first_norm: whether the first sublayer of the first layer has a norm; normalized embeddings need none (ModernBERT).
    """

    final_norm = True

    def __init__(
        self, dim: int, dropout: float, bias: bool, epsilon: float, layer: int, sublayers: int, norm: Part, first_norm: bool = True
    ):
        super().__init__(dim, dropout, bias, epsilon, sublayers, norm)
        if layer == 0 and not first_norm:
            self.norms[0] = nn.Identity()

    def forward(self, x: Tensor, sublayers: Sequence[Sublayer]) -> Tensor:
        for norm, sublayer in zip(self.norms, sublayers, strict=True):
            x = x + self.dropout(sublayer(norm(x)))
        return x


@register("block")
class PostNormBlock(NormedBlock):
    """Norm after each sublayer: norm(x + sublayer(x)). Vaswani et al. 2017, section 3.1, https://arxiv.org/abs/1706.03762"""

    def forward(self, x: Tensor, sublayers: Sequence[Sublayer]) -> Tensor:
        for norm, sublayer in zip(self.norms, sublayers, strict=True):
            x = norm(x + self.dropout(sublayer(x)))
        return x


@register("block")
class ParallelBlock(Block):
    """Parallel sublayers: x + sum of sublayer(norm(x)), with one norm. Chowdhery et al. 2022 (PaLM), section 2, https://arxiv.org/abs/2204.02311"""

    final_norm = True

    def __init__(self, dim: int, dropout: float, bias: bool, epsilon: float, norm: Part):
        super().__init__()
        self.norm = norm(dim=dim, epsilon=epsilon, bias=bias)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, sublayers: Sequence[Sublayer]) -> Tensor:
        normed = self.norm(x)
        for sublayer in sublayers:
            x = x + self.dropout(sublayer(normed))
        return x


@register("block")
class SandwichBlock(Block):
    """Norms before and after each sublayer: x + norm(sublayer(norm(x))). Gemma Team 2024 (Gemma 2), section 2, https://arxiv.org/abs/2408.00118"""

    final_norm = True

    def __init__(self, dim: int, dropout: float, bias: bool, epsilon: float, sublayers: int, norm: Part):
        super().__init__()
        self.before = nn.ModuleList(norm(dim=dim, epsilon=epsilon, bias=bias) for _ in range(sublayers))
        self.after = nn.ModuleList(norm(dim=dim, epsilon=epsilon, bias=bias) for _ in range(sublayers))
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, sublayers: Sequence[Sublayer]) -> Tensor:
        for before, after, sublayer in zip(self.before, self.after, sublayers, strict=True):
            x = x + self.dropout(after(sublayer(before(x))))
        return x


@register("block")
class ReorderedBlock(NormedBlock):
    """Norm after each sublayer, before the sum: x + norm(sublayer(x)). OLMo Team 2025 (OLMo 2), section 3.3.2, https://arxiv.org/abs/2501.00656"""

    final_norm = True

    def forward(self, x: Tensor, sublayers: Sequence[Sublayer]) -> Tensor:
        for norm, sublayer in zip(self.norms, sublayers, strict=True):
            x = x + self.dropout(norm(sublayer(x)))
        return x


@register("block")
class DeepNormBlock(NormedBlock):
    """Norm after a residual stream that weighs more: norm(alpha * x + sublayer(x)). Wang et al. 2022, section 3, https://arxiv.org/abs/2203.00555

    Initial weights are Xavier normal: with gain 1 those of the linear maps named `query` and `key`, with gain beta all others.

    alpha: weight of the residual stream; null = (sublayers * num_layers)^(1/4), which is (2N)^(1/4) in an encoder or decoder of N layers
        and (3M)^(1/4) in a decoder of M layers with cross-attention. An encoder beside it has 0.81 (N^4 M)^(1/16) in the paper.
    beta: gain of the initial weights; null = (4 * sublayers * num_layers)^(-1/4). An encoder beside a decoder has 0.87 (N^4 M)^(-1/16).
    """

    rules: ClassVar[dict[str, str]] = {
        "alpha is None or 0 < alpha < 1e6": "alpha must be positive and below 1,000,000",
        "beta is None or 0 < beta < 1e6": "beta must be positive and below 1,000,000",
    }

    def __init__(
        self,
        dim: int,
        num_layers: int,
        dropout: float,
        bias: bool,
        epsilon: float,
        sublayers: int,
        norm: Part,
        alpha: float | None = None,
        beta: float | None = None,
    ):
        super().__init__(dim, dropout, bias, epsilon, sublayers, norm)
        self.alpha = (sublayers * num_layers) ** 0.25 if alpha is None else alpha
        self.beta = (4 * sublayers * num_layers) ** -0.25 if beta is None else beta

    def forward(self, x: Tensor, sublayers: Sequence[Sublayer]) -> Tensor:
        for norm, sublayer in zip(self.norms, sublayers, strict=True):
            x = norm(self.alpha * x + self.dropout(sublayer(x)))
        return x

    def initialize_layer(self, layer: nn.Module, std: float) -> None:
        for name, linear in layer.named_modules():
            if isinstance(linear, nn.Linear):
                nn.init.xavier_normal_(linear.weight, gain=1.0 if name.rpartition(".")[2] in ("query", "key") else self.beta)
