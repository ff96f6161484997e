"""A feed-forward network of products."""

from typing import ClassVar

from torch import Tensor, nn

from framework import register


@register("feed_forward")
class SpecimenFeedForward(nn.Module):
    """Bilinear layer: output(gate(x) * input(x)), without an activation. Shazeer 2020, section 2,

    https://arxiv.org/abs/2002.05202

    hidden: hidden features; null = 8/3 of dim, rounded to a multiple of 8.
    """

    rules: ClassVar[dict[str, str]] = {"hidden is None or hidden > 0": "hidden must be positive"}

    def __init__(self, dim: int, bias: bool, hidden: int | None = None):
        super().__init__()
        hidden = hidden or max(8, round(dim / 3) * 8)
        self.gate, self.input = nn.Linear(dim, hidden, bias=bias), nn.Linear(dim, hidden, bias=bias)
        self.output = nn.Linear(hidden, dim, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, D) -> (B, T, D)."""
        return self.output(self.gate(x) * self.input(x))
