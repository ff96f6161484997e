"""How a layer wires its sublayers to the residual stream.

A block gets the sublayers of its layer (attention, cross-attention where there is one, feed-forward) as calls
`x -> y` of the same shape (B, T, D), in order; it owns the norms and the residual dropout, nothing else.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar

from torch import Tensor, nn

Sublayer = Callable[[Tensor], Tensor]


class Block(nn.Module):
    """A wiring of sublayers. An owner offers: dim, dropout, bias, epsilon, layer, depths (encoder, decoder), sublayers (their
    number), norm (a Part, called with dim, epsilon, bias).

    final_norm: whether a stack of these closes with a norm.
    """

    final_norm: ClassVar[bool] = False
    rules: ClassVar[dict[str, str]] = {}
    provides: ClassVar[tuple[str, ...]] = ()

    def forward(self, x: Tensor, sublayers: Sequence[Sublayer]) -> Tensor:
        raise NotImplementedError
