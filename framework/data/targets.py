"""Targets of tokens, and their places in a batch.

Shapes: B batch, T tokens, N targets (not ignored).
"""

import torch
from torch import Tensor

IGNORED = -100  # in targets (B, T): no target at this token


def target_places(targets: Tensor) -> Tensor:
    """The places (N,) of the targets among the B * T tokens, in reading order. A format computes them when it collates a batch: on a GPU
    the number of targets is not known without waiting for it.

    >>> target_places(torch.tensor([[6, 7, IGNORED], [IGNORED, 8, 9]]))
    tensor([0, 1, 4, 5])
    """
    return torch.from_numpy((targets.numpy() != IGNORED).ravel().nonzero()[0])
