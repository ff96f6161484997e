"""Feed-forward networks, and activation functions by name."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional

from framework.parts.dropout import Dropout
from framework.registry import register

Activation = Literal["gelu", "gelu_tanh", "relu", "squared_relu", "silu", "sigmoid", "tanh"]


def squared_relu(x: Tensor) -> Tensor:
    """relu(x)^2. So et al. 2021, section 4 (Primer), https://arxiv.org/abs/2109.08668"""
    return functional.relu(x).square()


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,  # exact, by the error function: BERT
    "gelu_tanh": partial(functional.gelu, approximate="tanh"),  # GPT-2 and flan-T5
    "relu": functional.relu,
    "squared_relu": squared_relu,
    "silu": functional.silu,
    "sigmoid": functional.sigmoid,
    "tanh": functional.tanh,
}


class FeedForward(nn.Module):
    """Base class of feed-forward networks, which are applied to each hidden state alone.

    inner_dropout: dropout of the hidden features.
    """

    rules: ClassVar[dict[str, str]] = {"hidden is None or 0 < hidden <= 2**20": "hidden must be positive, and at most 2**20"}
    option_traits: ClassVar = {"training_only": ("inner_dropout",)}


@register("feed_forward")
class MLPFeedForward(FeedForward):
    """Feed-forward network: output(activation(input(x))). Vaswani et al. 2017, section 3.3, https://arxiv.org/abs/1706.03762

    hidden: hidden features; null = 4 dim.
    activation: activation of the hidden features.
    """

    rules: ClassVar[dict[str, str]] = {**FeedForward.rules, "0 <= inner_dropout < 1": "inner_dropout must be in [0, 1)"}

    def __init__(self, dim: int, bias: bool, hidden: int | None = None, activation: Activation = "gelu", inner_dropout: float = 0.0):
        super().__init__()
        hidden = hidden or 4 * dim
        self.input = nn.Linear(dim, hidden, bias=bias)
        self.activation = ACTIVATIONS[activation]
        self.dropout = Dropout(inner_dropout)
        self.output = nn.Linear(hidden, dim, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.dropout(self.activation(self.input(x))))


@register("feed_forward")
class GatedFeedForward(FeedForward):
    """Gated linear unit: output(activation(gate(x)) * input(x)); SwiGLU, GEGLU, GLU. Shazeer 2020, section 2, https://arxiv.org/abs/2002.05202

    hidden: hidden features; null = 8/3 of dim, rounded to a multiple of 8: as many parameters as `mlp` has.
    activation: activation of the gate (silu: SwiGLU, gelu: GEGLU, sigmoid: GLU).
    """

    rules: ClassVar[dict[str, str]] = {**FeedForward.rules, "0 <= inner_dropout < 1": "inner_dropout must be in [0, 1)"}

    def __init__(self, dim: int, bias: bool, hidden: int | None = None, activation: Activation = "silu", inner_dropout: float = 0.0):
        super().__init__()
        hidden = hidden or max(8, round(dim / 3) * 8)
        self.gate = nn.Linear(dim, hidden, bias=bias)
        self.input = nn.Linear(dim, hidden, bias=bias)
        self.activation = ACTIVATIONS[activation]
        self.dropout = Dropout(inner_dropout)
        self.output = nn.Linear(hidden, dim, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.dropout(self.activation(self.gate(x)) * self.input(x)))
