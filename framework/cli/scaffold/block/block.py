"""A block with a norm on both sides of each sublayer."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from torch import Tensor, nn

from framework import Block, Part, register


@register("block")
class SpecimenBlock(Block):
    """Norm before and after each sublayer: x + scale * norm(sublayer(norm(x))). Ding et al. 2021, section 2.4,

    https://arxiv.org/abs/2105.13290

    scale: of what a sublayer adds to the residual stream.
    """

    final_norm: ClassVar[bool] = True  # the stream itself has no norm
    rules: ClassVar[dict[str, str]] = {"scale > 0": "scale must be positive"}

    def __init__(self, dim: int, dropout: float, bias: bool, epsilon: float, sublayers: int, norm: Part, scale: float = 1.0):
        super().__init__()
        self.before, self.after = (nn.ModuleList(norm(dim=dim, epsilon=epsilon, bias=bias) for _ in range(sublayers)) for _ in range(2))
        self.dropout, self.scale = nn.Dropout(dropout), scale

    def forward(self, x: Tensor, sublayers: Sequence[Callable[[Tensor], Tensor]]) -> Tensor:
        """x (B, T, D) -> (B, T, D)."""
        for before, sublayer, after in zip(self.before, sublayers, self.after, strict=True):
            x = x + self.scale * self.dropout(after(sublayer(before(x))))
        return x
