"""Dropout with a cheap source of random bits on CPUs."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import handle_torch_function, has_torch_function_unary

LEVELS = 2**16  # a rate is rounded to a multiple of 1 / LEVELS


def dropout(x: Tensor, rate: float) -> Tensor:
    """Dropout of the elements of x, the others divided by the share of those kept. Srivastava et al. 2014, section 4,
    https://jmlr.org/papers/v15/srivastava14a.html

    rate: probability of an element to be 0, in [0, 1). On a CPU torch draws a random number for each element, which takes longer than
    all other operations of dropout; 16 bits of one are enough, so four elements share a number.

    >>> sorted(set(dropout(torch.ones(100), 0.5).tolist()))
    [0.0, 2.0]
    """
    if has_torch_function_unary(x):
        return handle_torch_function(dropout, (x,), x, rate)
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return functional.dropout(x, rate)
    kept = round((1 - rate) * LEVELS)  # of LEVELS values of 16 bits
    if kept == LEVELS:
        return x
    numbers = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    keep = numbers.view(torch.int16)[: x.numel()].view(x.shape) < kept - LEVELS // 2
    return x * keep.to(x.dtype).mul_(LEVELS / kept if kept else 0.0)


class Dropout(nn.Dropout):
    """Dropout in training, the identity in evaluation. p: the rate.

    >>> Dropout(0.5).eval()(torch.ones(2)).tolist()
    [1.0, 1.0]
    """

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p) if self.training else x
