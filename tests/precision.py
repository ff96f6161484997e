"""Comparisons that hold on every processor.

Another processor, or another number of threads, sums the same products in another order, and a model may enlarge what that rounds
away a thousand times. So whether two programs compute the same is asked in double precision, where rounding stays far below a
billionth and a mistake far above it; and single precision is measured by how far the reference itself, in single, is from double.
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
TIMES = 8  # of two roundings by other orders one is seldom twice the other; what falls into half precision is off 2 ** 16 times


def close(got: Tensor, wanted: Tensor) -> None:
    """Equal in double precision: to a billionth of the largest number."""
    assert got.dtype == wanted.dtype == torch.float64, (got.dtype, wanted.dtype)
    scale = max(1.0, float(wanted.detach().abs().max())) if wanted.numel() else 1.0
    torch.testing.assert_close(got, wanted, rtol=0, atol=BILLIONTH * scale)


def rounds_like(got: Sequence[Tensor], reference: Sequence[Tensor], exact: Sequence[Tensor]) -> None:
    """Of numbers in single or half precision: as near to those in double as the reference in the same one, or as one rounding is."""
    dtype = reference[0].dtype
    assert dtype != torch.float64 and all(each.dtype == dtype for each in (*got, *reference))
    assert all(each.dtype == torch.float64 for each in exact)
    one = torch.finfo(dtype).eps * max(float(each.detach().abs().max()) for each in exact)
    mine, theirs = (float(torch.stack([distance(*pair) for pair in zip(side, exact, strict=True)]).max()) for side in (got, reference))
    assert mine <= TIMES * max(theirs, one), f"{mine:.2g} from double precision, the reference {theirs:.2g}, one rounding {one:.2g}"


def distance(one: Tensor, other: Tensor) -> Tensor:
    """Of the numbers that are furthest apart; none where one of them is no number."""
    assert one.shape == other.shape, (one.shape, other.shape)
    return (one.detach().double() - other.detach().double()).abs().max()


class _Doubles(TorchFunctionMode):
    """Whoever asks for single precision by name gets double."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.float:
            return args[0].double()
        wide = [torch.float64 if value is torch.float32 else value for value in args]
        return func(*wide, **{name: torch.float64 if value is torch.float32 else value for name, value in (kwargs or {}).items()})


@contextlib.contextmanager
def doubles() -> Iterator[None]:
    """Norms, angles and scores that are computed in single precision, whatever the weights are, are computed in double."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _Doubles(), patch.object(torch, "FloatTensor", torch.DoubleTensor):
            yield
    finally:
        torch.set_default_dtype(before)


def in_double(model: Any) -> Any:
    """A model of transformers in double precision; the tables that no file holds are made anew, or they would stay rounded."""
    exact = copy.deepcopy(model).double()
    with doubles():
        fresh = type(model)(model.config)
    fixed = {name: buffer for name, buffer in fresh.named_buffers() if name not in model.state_dict()}
    fixed |= {name: parameter for name, parameter in fresh.named_parameters() if not parameter.requires_grad}
    for name, value in fixed.items():
        owner, _, own = name.rpartition(".")
        getattr(exact.get_submodule(owner), own).data = value.data
    return exact.train(model.training)
