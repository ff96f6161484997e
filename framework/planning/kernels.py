"""The operations of a GPU on the meta device: memory-efficient attention, torch's own dropout, and autocast.

The meta device computes shapes alone. Its attention would be that of plain products, whose scores no GPU keeps, and it knows no autocast.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from framework.parts.attention.kernels import attend, fused
from framework.parts.dropout import dropout

# As torch's autocast: https://docs.pytorch.org/docs/stable/amp.html#cuda-ops-that-can-autocast-to-float16
_LOWER = {"linear", "matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "addmm", "baddbmm", "einsum", "conv1d", "bilinear"}
_LOWER |= {"scaled_dot_product_attention", "__rmul_matmul__", "mv", "addmv", "prelu"}
_FLOAT32 = {"softmax", "log_softmax", "layer_norm", "cross_entropy", "nll_loss", "binary_cross_entropy_with_logits", "kl_div", "mse_loss"}
_FLOAT32 |= {"l1_loss", "smooth_l1_loss", "exp", "expm1", "log", "log1p", "pow", "__pow__", "rsqrt", "reciprocal", "sum", "prod", "norm"}
_FLOAT32 |= {"cumsum", "cumprod", "softplus", "normalize", "cosine_similarity", "group_norm"}


class GpuKernels(TorchFunctionMode):
    """Replaces attention and dropout by their kernels of a GPU. lower: the dtype of autocast; None = no autocast."""

    def __init__(self, lower: torch.dtype | None = None):
        super().__init__()
        self.lower = lower
        self._cast: dict[int, Tensor] = {}  # weights in the lower dtype, which autocast makes once a step

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is attend:
            with self:
                return fused(*args, **kwargs)
        if func is dropout:
            return functional.dropout(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if self.lower is not None and name in _LOWER | _FLOAT32:
            cast = self._lowered if name in _LOWER else _raised
            args, kwargs = [cast(value) for value in args], {key: cast(value) for key, value in kwargs.items()}
        if func is functional.scaled_dot_product_attention:
            return _attention(*args, **kwargs)
        return func(*args, **kwargs)

    @contextmanager
    def replacing_autocast(self) -> Iterator[None]:
        """This mode, in a block in which `torch.autocast("meta", enabled=False)` of a part turns autocast off."""
        mode, there = self, torch.autocast

        class Autocast(there):  # type: ignore[misc, valid-type]
            def __init__(self, device_type: str, *arguments: Any, enabled: bool = True, **options: Any):
                self.meta = device_type == "meta"
                self.lower = mode.lower if enabled else None
                super().__init__("cpu" if self.meta else device_type, *arguments, enabled=enabled and not self.meta, **options)

            def __enter__(self) -> Any:
                if self.meta:
                    self.lower, mode.lower = mode.lower, self.lower
                return super().__enter__()

            def __exit__(self, *exception: Any) -> Any:
                if self.meta:
                    self.lower, mode.lower = mode.lower, self.lower
                return super().__exit__(*exception)

        torch.autocast = Autocast  # type: ignore[misc]
        try:
            with self:
                yield
        finally:
            torch.autocast = there  # type: ignore[misc]

    def forget_weights(self) -> None:
        """Frees the weights in the lower dtype, but those that the backward pass needs, as the end of an autocast block does."""
        self._cast = {}

    def _lowered(self, value: Any) -> Any:
        if not isinstance(value, Tensor) or value.dtype != torch.float32:
            return value
        assert self.lower is not None
        if not (value.is_leaf and value.requires_grad):
            return value.to(self.lower)
        if id(value) not in self._cast:
            self._cast[id(value)] = value.to(self.lower)
        return self._cast[id(value)]


def _raised(value: Any) -> Any:
    lower = isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if lower else value


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Attention that keeps queries, keys, values, its result and a number for each query, as `scaled_dot_product_attention`; dropout is
    drawn again in the backward pass. A boolean mask becomes one of numbers, and keys and values of groups are repeated beside a mask."""
    if attn_mask is None:
        return torch.ops.aten._scaled_dot_product_flash_attention(query, key, value, dropout_p, is_causal, scale=scale)[0]
    if attn_mask.dtype == torch.bool:
        attn_mask = torch.where(attn_mask, torch.zeros((), dtype=query.dtype, device=query.device), float("-inf"))
    if enable_gqa:
        key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], dim=1) for x in (key, value))
    bias = attn_mask.to(query.dtype).expand(*query.shape[:3], key.shape[2])
    return torch.ops.aten._scaled_dot_product_efficient_attention(query, key, value, bias, True, dropout_p, is_causal, scale=scale)[0]
