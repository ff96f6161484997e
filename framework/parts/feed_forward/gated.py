"""Gated feed-forward network."""

from typing import ClassVar

from torch import Tensor, nn

from framework.parts.feed_forward.activations import ACTIVATIONS, Activation
from framework.registry import register


@register("feed_forward")
class GatedFeedForward(nn.Module):
    """Gated linear unit: output(activation(gate(x)) * input(x)); SwiGLU, GEGLU, GLU. Shazeer 2020, section 2, https://arxiv.org/abs/2002.05202

    hidden: hidden features; null = 8/3 of dim, rounded to a multiple of 8: as many parameters as `mlp` has.
    activation: activation of the gate (silu: SwiGLU, gelu: GEGLU, sigmoid: GLU).
    inner_dropout: dropout of the hidden features.
    """

    rules: ClassVar[dict[str, str]] = {"hidden is None or hidden > 0": "hidden must be positive"}

    option_traits: ClassVar = {"training_only": ("inner_dropout",)}

    def __init__(self, dim: int, bias: bool, hidden: int | None = None, activation: Activation = "silu", inner_dropout: float = 0.0):
        super().__init__()
        hidden = hidden or max(8, round(dim / 3) * 8)
        self.gate = nn.Linear(dim, hidden, bias=bias)
        self.input = nn.Linear(dim, hidden, bias=bias)
        self.activation = ACTIVATIONS[activation]
        self.dropout = nn.Dropout(inner_dropout)
        self.output = nn.Linear(hidden, dim, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.dropout(self.activation(self.gate(x)) * self.input(x)))
