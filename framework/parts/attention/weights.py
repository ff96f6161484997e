"""Attention weights, which the fused kernels do not return.

Shapes: B batch, T query length, S key length, H heads.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from framework.parts.attention.kernels import attend

RATES: dict[Any, str] = {attend: "dropout", scaled_dot_product_attention: "dropout_p"}  # keyword of the rate of dropout

_receive: Callable[[Tensor], None] | None = None  # of the innermost AttentionWeights


def log_attention(weights: Tensor) -> None:
    """Hands over the attention weights (B, H, T, S) of a part that computes them itself, to whoever records them.

    A part that calls `attend`, or torch's `scaled_dot_product_attention`, needs no call. Outside of `AttentionWeights` it does nothing.

    >>> with AttentionWeights() as recorded:
    ...     log_attention(torch.ones(1, 2, 3, 3) / 3)
    >>> recorded.weights[0].shape
    torch.Size([1, 2, 3, 3])
    """
    if _receive is not None:
        _receive(weights)


class AttentionWeights(TorchFunctionMode):
    """Context manager that records the weights of every scaled dot-product attention, in the order of computation, without dropout.

    Weights are the output of the same kernel, with the same mask, bias and scale, for the identity matrix as values. Parts that call
    neither `attend` nor torch's `scaled_dot_product_attention` hand theirs over with `log_attention`; those without scores (linear
    attention) leave no weights.

    weights: one tensor (B, H, T, S) for each call.

    >>> model = build_model(compose(["task=classification", "model.num_layers=2", "model.num_heads=4"]))
    >>> with AttentionWeights() as recorded:
    ...     states = model(torch.randint(261, (1, 6)))
    >>> [tuple(weights.shape) for weights in recorded.weights]
    [(1, 4, 6, 6), (1, 4, 6, 6)]
    """

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[Tensor] = []

    def __enter__(self) -> "AttentionWeights":
        global _receive
        self._outer, _receive = _receive, self.weights.append
        return super().__enter__()

    def __exit__(self, *exception: Any) -> None:
        global _receive
        _receive = self._outer
        super().__exit__(*exception)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if rate := RATES.get(func):
            query, key = args[:2]
            identity = torch.eye(key.shape[-2], dtype=key.dtype, device=key.device).expand(*key.shape[:-1], -1)  # (B, K, S, S)
            self.weights.append(func(query, key, identity, *args[3:], **{**kwargs, rate: 0.0}))
        return func(*args, **kwargs)
