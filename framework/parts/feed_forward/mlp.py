"""Feed-forward network with one hidden layer."""

from typing import ClassVar

from torch import Tensor, nn

from framework.parts.feed_forward.activations import ACTIVATIONS, Activation
from framework.registry import register


@register("feed_forward")
class MLPFeedForward(nn.Module):
    """Feed-forward network: output(activation(input(x))). Vaswani et al. 2017, section 3.3, https://arxiv.org/abs/1706.03762

    hidden: hidden features; null = 4 dim.
    activation: activation of the hidden features.
    inner_dropout: dropout of the hidden features.
    """

    rules: ClassVar[dict[str, str]] = {"hidden is None or hidden > 0": "hidden must be positive"}

    option_traits: ClassVar = {"training_only": ("inner_dropout",)}

    def __init__(self, dim: int, bias: bool, hidden: int | None = None, activation: Activation = "gelu", inner_dropout: float = 0.0):
        super().__init__()
        hidden = hidden or 4 * dim
        self.input = nn.Linear(dim, hidden, bias=bias)
        self.activation = ACTIVATIONS[activation]
        self.dropout = nn.Dropout(inner_dropout)
        self.output = nn.Linear(hidden, dim, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.dropout(self.activation(self.input(x))))
