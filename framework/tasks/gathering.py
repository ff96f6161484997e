"""Representations of all processes, for losses that compare the rows of a batch with each other."""

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from framework.data.formats import Batch


def gather_rows(rows: Tensor, batch: Batch) -> tuple[Tensor, int]:
    """The rows (B, ...) of all processes (G, ...), in the order of ranks, with their gradients, and the index of this process's first row.

    Each process computes the loss of its own rows among all of them; the gradient of a row then comes from the losses of all processes, as
    if one process had the whole global batch. A collective call: all ranks make it, the same number of times. batch: tells a dummy, whose
    row no other process gets.

    >>> vectors, batch = torch.eye(3), load("runs/last").batch(["good", "dull", "fine"])
    >>> all_vectors, first = gather_rows(vectors, batch)
    >>> scores = vectors @ all_vectors.T  # (B, G); the row's own partner is at first + its index
    >>> scores.argmax(1).tolist(), first  # one process
    ([0, 1, 2], 0)
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return rows, 0
    dummy = batch["@rows"].dummy
    own = torch.tensor([0 if dummy else len(rows)], device=rows.device)
    counts = [torch.zeros_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, own)
    sizes = [int(count) for count in counts]
    gathered: Tensor = _Gather.apply(rows[: int(own)], sizes)  # type: ignore[no-untyped-call]
    if dummy:  # it is its own partner, in a loss that is not counted
        return torch.cat((gathered, rows)), len(gathered)
    return gathered, sum(sizes[: dist.get_rank()])


def in_chunks(function: Callable[..., Tensor], *tensors: Tensor, rows: int | None) -> Tensor:
    """`function(*tensors)` with the activations of some rows in memory at a time; values and gradients are the same.

    A loss that compares rows needs the vectors of the whole batch, but not their activations, which are computed again, chunk by chunk, in
    the backward pass. Gao et al. 2021, https://arxiv.org/abs/2101.06983

    function: maps tensors of some rows to one tensor of the same rows, each independent of the others.
    rows: number of rows of a chunk; None = all at once.

    >>> in_chunks(torch.square, torch.tensor([1.0, 2.0, 3.0]), rows=2)
    tensor([1., 4., 9.])
    """
    if rows is None:
        return function(*tensors)
    chunks = zip(*(tensor.split(rows) for tensor in tensors), strict=True)
    return torch.cat([cast(Tensor, checkpoint(function, *chunk, use_reentrant=False)) for chunk in chunks])


class _Gather(torch.autograd.Function):
    """All-gather of rows whose number differs between ranks; the gradient of a row is the sum over ranks."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, sizes: list[int]) -> Tensor:
        start = sum(sizes[: dist.get_rank()])
        ctx.own = slice(start, start + len(rows))
        padded = rows.new_zeros(max(sizes), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient[ctx.own], None
