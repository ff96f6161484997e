"""Numeric comparisons that do not depend on the processor.

Another processor, or another number of threads, sums the same products in another order, and a model may amplify the rounding error a
thousand times. Two implementations are therefore compared in float64, where rounding errors stay far below a billionth and mistakes far
above it; in a lower precision, by the distance of the reference in the same dtype from float64.
"""

import contextlib
import copy
from collections.abc import Iterator, Sequence
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

BILLIONTH = 1e-9
TIMES = 8  # rounding errors of two summation orders seldom differ by more than 2; a value cast to bfloat16 is off 2 ** 16 times


def close(got: Tensor, wanted: Tensor) -> None:
    """Equal in float64, to a billionth of the largest absolute value."""
    assert got.dtype == wanted.dtype == torch.float64, (got.dtype, wanted.dtype)
    scale = max(1.0, float(wanted.detach().abs().max())) if wanted.numel() else 1.0
    torch.testing.assert_close(got, wanted, rtol=0, atol=BILLIONTH * scale)


def rounds_like(got: Sequence[Tensor], reference: Sequence[Tensor], exact: Sequence[Tensor]) -> None:
    """Values in single or half precision are about as near to the float64 values as the reference in the same dtype, or as one rounding."""
    dtype = reference[0].dtype
    assert dtype != torch.float64 and all(each.dtype == dtype for each in (*got, *reference))
    assert all(each.dtype == torch.float64 for each in exact)
    one = torch.finfo(dtype).eps * max(float(each.detach().abs().max()) for each in exact)
    mine, theirs = (float(torch.stack([distance(*pair) for pair in zip(side, exact, strict=True)]).max()) for side in (got, reference))
    assert mine <= TIMES * max(theirs, one), f"{mine:.2g} from float64, the reference {theirs:.2g}, one rounding {one:.2g}"


def distance(one: Tensor, other: Tensor) -> Tensor:
    """Largest absolute difference; NaN if a value of either is NaN."""
    assert one.shape == other.shape, (one.shape, other.shape)
    return (one.detach().double() - other.detach().double()).abs().max()


class _Doubles(TorchFunctionMode):
    """Replaces torch.float32 by torch.float64 in every call."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.float:
            return args[0].double()
        wide = [torch.float64 if value is torch.float32 else value for value in args]
        return func(*wide, **{name: torch.float64 if value is torch.float32 else value for name, value in (kwargs or {}).items()})


@contextlib.contextmanager
def doubles() -> Iterator[None]:
    """Context in which computations fixed to float32 (norms, rotary angles, attention scores) run in float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _Doubles(), patch.object(torch, "FloatTensor", torch.DoubleTensor):
            yield
    finally:
        torch.set_default_dtype(before)


def in_double(model: Any) -> Any:
    """A copy of a transformers model in float64; tables that are not in its state are computed anew, without float32 rounding."""
    exact = copy.deepcopy(model).double()
    exact.config._experts_implementation = "eager"  # torch's grouped product has no float64
    with doubles():
        fresh = type(model)(model.config)
    fixed = {name: buffer for name, buffer in fresh.named_buffers() if name not in model.state_dict()}
    fixed |= {name: parameter for name, parameter in fresh.named_parameters() if not parameter.requires_grad}
    for name, value in fixed.items():
        owner, _, own = name.rpartition(".")
        getattr(exact.get_submodule(owner), own).data = value.data
    return exact.train(model.training)
