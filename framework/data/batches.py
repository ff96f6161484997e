"""Batch samplers: the rows of every global batch as a pure function of (lengths, seed, epoch, world_size).

A global batch is the batch of one step on all ranks; rank r takes its rows r, r + world_size, r + 2 world_size, ... So all ranks make
the same number of steps, in every epoch, and every row is used exactly once an epoch.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from framework.registry import register

Indices = NDArray[np.int64]


class Batches:
    """Base class of the kind `batches`. packs: batches hold windows of one running text instead of rows; `isolated` and `stride` are
    options of its windows (see windows.py).

    >>> batches = Part("batches/rows", rows=2)()
    >>> [batch.tolist() for batch in batches.plan_batches([5, 3, 4], seed=0, epoch=0, world_size=1, shuffle=False)]
    [[0, 1], [2]]
    """

    packs: ClassVar[bool] = False
    isolated: bool = False
    stride: int | None = None
    rules: ClassVar[dict[str, str]] = {}

    def plan_batches(self, lengths: Indices, seed: int, epoch: int, world_size: int, shuffle: bool) -> list[Indices]:
        """Row indices of every global batch of an epoch. Without `shuffle` (evaluation) they do not depend on seed and epoch."""
        raise NotImplementedError


@register("batches")
class RowsBatches(Batches):
    """The same number of rows in every batch.

    rows: rows in a batch of each process.
    """

    rules: ClassVar[dict[str, str]] = {"rows >= 1": "data.batches.rows must be at least 1"}

    def __init__(self, rows: int = 32):
        self.rows = rows

    def plan_batches(self, lengths: Indices, seed: int, epoch: int, world_size: int, shuffle: bool) -> list[Indices]:
        return chunks(order(len(lengths), seed, epoch, shuffle), self.rows * world_size)


@register("batches")
class BucketsBatches(Batches):
    """Rows of similar length together, as many as fit into a budget of tokens.

    budget: tokens in a batch of each process, padding included; a row that is longer is a batch of its own.
    growth: ratio of the longest to the shortest row of a bucket. A small ratio gives less padding and less varied batches.
    """

    rules: ClassVar[dict[str, str]] = {
        "budget >= 1": "data.batches.budget must be at least 1 token",
        "growth > 1": "data.batches.growth must be above 1",
    }

    def __init__(self, budget: int = 4096, growth: float = 1.125):
        self.budget, self.growth = budget, growth

    def plan_batches(self, lengths: Indices, seed: int, epoch: int, world_size: int, shuffle: bool) -> list[Indices]:
        """Each bucket yields full batches and passes its remaining rows to the next longer bucket. The number of batches depends only on
        the sizes of the buckets, so it is the same in every epoch; which rows remain differs."""
        ranked = order(len(lengths), seed, epoch, shuffle)
        widths = self.widths(lengths)
        bucket = np.searchsorted(widths, lengths[ranked])
        batches: list[Indices] = []
        waiting = np.empty(0, dtype=np.int64)
        for number, width in enumerate(widths):
            waiting = np.concatenate((waiting, ranked[bucket == number]))
            rows = max(1, self.budget // max(1, int(width))) * world_size
            full = len(waiting) // rows * rows
            batches += chunks(waiting[:full], rows)
            waiting = waiting[full:]
        if len(waiting):
            batches.append(waiting)
        return [batches[index] for index in order(len(batches), seed, epoch, shuffle)]

    def widths(self, lengths: Indices) -> Indices:
        """The longest row length of each bucket, in ascending order."""
        widths: list[int] = []
        shortest = 0
        for length in np.unique(lengths).tolist():
            if not widths or length > shortest * self.growth:
                widths.append(length)
                shortest = length
            widths[-1] = length
        return np.array(widths, dtype=np.int64)


@register("batches")
class PackedBatches(Batches):
    """One stream of running text, cut into windows of the model's max_length: no padding, and every token is predicted once an epoch.

    budget: tokens in a batch of each process.
    rows: windows in a batch of each process; replaces the budget.
    isolated: attention stays within a document (a row of the source), positions start at 0 in each document, and its first token is no
        target. Krell et al. 2021, https://arxiv.org/abs/2107.02027
    stride: distance between windows in evaluation; null = max_length. Each token is scored once, and beyond the first window with at least
        max_length - stride tokens of context: the perplexity of long texts is lower, the cost max_length / stride times as high.
        Press et al. 2021, section 2, https://arxiv.org/abs/2012.15832
    """

    packs = True
    rules: ClassVar[dict[str, str]] = {
        "'stream' in provided": "packed batches need rows of one running text; choose data/batches=buckets",
        "not isolated or 'documents' in provided": "this text format does not mark documents; set data.batches.isolated=false",
        "stride is None or 'counted' in provided": "this text format would score overlapping tokens twice; set data.batches.stride=null",
        "stride is None or stride >= 1": "data.batches.stride must be at least 1",
        "budget >= 1": "data.batches.budget must be at least 1 token",
        "rows is None or rows >= 1": "data.batches.rows must be at least 1",
    }

    def __init__(self, budget: int = 4096, rows: int | None = None, isolated: bool = False, stride: int | None = None):
        self.budget, self.rows, self.isolated, self.stride = budget, rows, isolated, stride

    def plan_batches(self, lengths: Indices, seed: int, epoch: int, world_size: int, shuffle: bool) -> list[Indices]:
        rows = self.rows or max(1, self.budget // int(lengths.max(initial=1)))
        return chunks(order(len(lengths), seed, epoch, shuffle), rows * world_size)


def order(rows: int, seed: int, epoch: int, shuffle: bool) -> Indices:
    """The order of rows in an epoch."""
    return np.random.default_rng((seed, epoch)).permutation(rows) if shuffle else np.arange(rows)


def chunks(rows: Indices, size: int) -> list[Indices]:
    """Consecutive slices of `size` rows; the last one may be shorter."""
    return [rows[start:stop] for start, stop in pairwise([*range(0, len(rows), size), len(rows)])]


def shard(batch: Sequence[int] | Indices, rank: int, world_size: int) -> tuple[list[int], bool]:
    """A rank's rows of a global batch, and whether they are a dummy: the first row of the batch, because none is left for the rank."""
    rows = [int(row) for row in batch[rank::world_size]]
    return (rows, False) if rows else ([int(batch[0])], True)
