"""Activation functions by name."""

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Tensor
from torch.nn import functional

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
