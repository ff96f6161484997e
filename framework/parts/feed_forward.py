"""Feed-forward networks, and activation functions by name."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional

from framework.parts.dropout import Dropout
from framework.registry import register

Activation = Literal["gelu", "gelu_tanh", "quick_gelu", "relu", "squared_relu", "silu", "sigmoid", "tanh"]


def squared_relu(x: Tensor) -> Tensor:
    """relu(x)^2. So et al. 2021, section 4 (Primer), https://arxiv.org/abs/2109.08668"""
    return functional.relu(x).square()


def quick_gelu(x: Tensor) -> Tensor:
    """x sigmoid(1.702 x), which is near GELU. Hendrycks and Gimpel 2016, section 2, https://arxiv.org/abs/1606.08415"""
    return x * functional.sigmoid(1.702 * x)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,  # exact, by the error function: BERT
    "gelu_tanh": partial(functional.gelu, approximate="tanh"),  # GPT-2 and flan-T5
    "quick_gelu": quick_gelu,
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
    limit: gate(x) is at most this, and input(x) at most this on both sides of 0; null = no limit. OpenAI 2025 (gpt-oss), section 2.3,
        https://arxiv.org/abs/2508.10925
    shift: what is added to input(x); 1 lets the gate through where input(x) is 0 (gpt-oss).
    """

    rules: ClassVar[dict[str, str]] = {
        **FeedForward.rules,
        "0 <= inner_dropout < 1": "inner_dropout must be in [0, 1)",
        "limit is None or limit > 0": "limit must be positive; null = no limit",
        "0 <= shift < 1e6": "shift must not be negative, and below 1,000,000",
    }

    def __init__(
        self,
        dim: int,
        bias: bool,
        hidden: int | None = None,
        activation: Activation = "silu",
        inner_dropout: float = 0.0,
        limit: float | None = None,
        shift: float = 0.0,
    ):
        super().__init__()
        hidden = hidden or max(8, round(dim / 3) * 8)
        self.gate = nn.Linear(dim, hidden, bias=bias)
        self.input = nn.Linear(dim, hidden, bias=bias)
        self.activation, self.limit, self.shift = ACTIVATIONS[activation], limit, shift
        self.dropout = Dropout(inner_dropout)
        self.output = nn.Linear(hidden, dim, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        gate, inner = self.gate(x), self.input(x)
        if self.limit is not None:
            gate, inner = gate.clamp(max=self.limit), inner.clamp(-self.limit, self.limit)
        inner = inner + self.shift if self.shift else inner
        return self.output(self.dropout(self.activation(gate) * inner))
