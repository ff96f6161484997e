"""Orthogonalization by Newton-Schulz iterations, for all matrices of a shape at once.

Shapes: N matrices, r rows, c columns.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from framework.training.groups import is_sharded
from framework.utils.processors import multiplies_bfloat16

AT_ONCE = 2**24  # elements; bounds the memory for the iterations to a few copies of so many


class BatchedMuon(torch.optim.Muon):
    """torch's Muon, whose iterations run over a batch of matrices instead of one matrix after the other. Options and state are torch's."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        assert closure is None, "the optimizer that owns this one calls the closure"
        for group in self.param_groups:
            parameters: list[Tensor] = []
            gradients: list[Tensor] = []
            momenta: list[Tensor] = []
            self._init_group(group, parameters, gradients, momenta)
            if not parameters:
                continue
            torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
            updates: Sequence[Tensor] = momenta
            if group["nesterov"]:
                updates = torch._foreach_lerp(gradients, momenta, group["momentum"])
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            orthogonal = orthogonalize(updates, group["ns_steps"], group["ns_coefficients"], group["eps"])
            for parameter, update in zip(parameters, orthogonal, strict=True):
                parameter.add_(update, alpha=-0.2 * group["lr"] * math.sqrt(max(parameter.shape)))  # the size of AdamW's updates


def orthogonalize(matrices: Sequence[Tensor], steps: int, coefficients: tuple[float, float, float], eps: float) -> list[Tensor]:
    """U V^T of the singular value decomposition U S V^T of every matrix (r, c), approximately: singular values of about 0.7 to 1.2.

    A quintic Newton-Schulz iteration, x <- (a + b x x^T + c (x x^T)^2) x: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/
    In bfloat16, as there, but in float32 on processors that do not multiply it, and in float64 for matrices in float64. Sharded matrices
    are gathered, and computed by every rank.
    """
    whole: list[Tensor] = [matrix.full_tensor() if is_sharded(matrix) else matrix for matrix in matrices]  # type: ignore[attr-defined]
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for number, matrix in enumerate(whole):
        by_shape.setdefault((min(matrix.shape), max(matrix.shape)), []).append(number)
    found: list[Tensor] = list(whole)
    for shape, numbers in by_shape.items():
        count = max(1, AT_ONCE // math.prod(shape))
        for begin in range(0, len(numbers), count):
            some = numbers[begin : begin + count]
            wide = torch.stack([whole[n] if whole[n].shape[0] <= whole[n].shape[1] else whole[n].T for n in some])  # (N, r, c), r <= c
            for n, result in zip(some, _iterate(wide, steps, coefficients, eps), strict=True):
                found[n] = result if whole[n].shape[0] <= whole[n].shape[1] else result.T
    return [_sharded(result, matrix) for result, matrix in zip(found, matrices, strict=True)]


def _iterate(x: Tensor, steps: int, coefficients: tuple[float, float, float], eps: float) -> Tensor:
    a, b, c = coefficients
    if x.dtype != torch.float64:
        x = x.to(torch.bfloat16 if x.device.type != "cpu" or multiplies_bfloat16() else torch.float32)
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=eps)  # so that no singular value is above 1
    for _ in range(steps):
        gram = x @ x.mT  # (N, r, r)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def _sharded(result: Tensor, like: Tensor) -> Tensor:
    """The result in the shards of a matrix. Every rank has computed the same, so nothing is sent."""
    if not is_sharded(like):
        return result
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(result, like.device_mesh, like.placements, src_data_rank=None)  # type: ignore[attr-defined]
