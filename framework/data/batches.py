"""Which rows go into a batch together: a pure function of (lengths, seed, epoch, world_size).

A global batch is what all ranks see in one step; rank r of `world_size` takes its rows r, r + world_size, r + 2 world_size, ... So every
rank makes the same number of steps, in every epoch the same, and every row is served exactly once an epoch.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from framework.errors import UserError
from framework.registry import register

Numbers = NDArray[np.int64]


class Batches:
    """A way to form batches. `packs`: the rows are windows of one running text, not what the source gave; `isolated` and
    `stride` say how it is cut (see windows.py)."""

    packs: ClassVar[bool] = False
    isolated: bool = False
    stride: int | None = None
    rules: ClassVar[dict[str, str]] = {}

    def plan_batches(self, lengths: Numbers, seed: int, epoch: int, world_size: int, shuffle: bool) -> list[Numbers]:
        """Row numbers of every global batch. Without `shuffle` (evaluation) seed and epoch play no part."""
        raise NotImplementedError


@register("batches")
class RowsBatches(Batches):
    """The same number of rows in every batch.

    rows: of each process.
    """

    def __init__(self, rows: int = 32):
        if rows < 1:
            raise UserError(f"data.batches.rows={rows}: at least 1")
        self.rows = rows

    def plan_batches(self, lengths: Numbers, seed: int, epoch: int, world_size: int, shuffle: bool) -> list[Numbers]:
        return chunks(order(len(lengths), seed, epoch, shuffle), self.rows * world_size)


@register("batches")
class BucketsBatches(Batches):
    """Rows of like length together, as many as fit under a budget of tokens.

    budget: tokens of a batch of each process, padding included; a longer row makes a batch of its own.
    growth: longest over shortest row of a bucket. Small: less padding, batches more alike.
    """

    def __init__(self, budget: int = 4096, growth: float = 1.125):
        if budget < 1 or growth <= 1:
            raise UserError(f"data.batches.budget={budget} must be at least 1 and data.batches.growth={growth} above 1")
        self.budget, self.growth = budget, growth

    def plan_batches(self, lengths: Numbers, seed: int, epoch: int, world_size: int, shuffle: bool) -> list[Numbers]:
        """Each bucket gives full batches and hands what is left to the next longer one: how many batches there are depends on
        the sizes of the buckets alone, so it never changes; which rows are left over does."""
        ranked = order(len(lengths), seed, epoch, shuffle)
        widths = self.widths(lengths)
        bucket = np.searchsorted(widths, lengths[ranked])
        batches: list[Numbers] = []
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

    def widths(self, lengths: Numbers) -> Numbers:
        """The longest length that each bucket takes; the last one takes the longest row."""
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
    """Language-model text as one stream, cut into windows as long as the model reads: no padding, every token predicted once an epoch.

    budget: tokens of a batch of each process.
    rows: windows of a batch of each process; instead of the budget where given.
    isolated: each row of the source is a document: no token sees another's, positions begin at 0 in each, and its first token is
        predicted by none. Krell et al. 2021, https://arxiv.org/abs/2107.02027
    stride: how far windows are apart in evaluation; null = as far as the model reads. Each token is scored once, beyond the first
        window with max_length - stride tokens before it at least: a truer perplexity of long text, at max_length / stride times the
        cost. Press et al. 2021, section 2, https://arxiv.org/abs/2012.15832
    """

    packs = True
    rules: ClassVar[dict[str, str]] = {
        "'stream' in provided": "only pieces of one running text can be packed: other rows would read their neighbors",
        "not isolated or 'documents' in provided": "this format does not tell the documents of a window apart",
        "stride is None or 'counted' in provided": "this format would score the tokens that overlapping windows share twice",
        "stride is None or stride >= 1": "windows move on",
    }

    def __init__(self, budget: int = 4096, rows: int | None = None, isolated: bool = False, stride: int | None = None):
        if budget < 1 or (rows is not None and rows < 1):
            raise UserError(f"data.batches.budget={budget}, data.batches.rows={rows}: at least 1")
        self.budget, self.rows, self.isolated, self.stride = budget, rows, isolated, stride

    def plan_batches(self, lengths: Numbers, seed: int, epoch: int, world_size: int, shuffle: bool) -> list[Numbers]:
        rows = self.rows or max(1, self.budget // int(lengths.max(initial=1)))
        return chunks(order(len(lengths), seed, epoch, shuffle), rows * world_size)


def order(rows: int, seed: int, epoch: int, shuffle: bool) -> Numbers:
    return np.random.default_rng((seed, epoch)).permutation(rows) if shuffle else np.arange(rows)


def chunks(rows: Numbers, size: int) -> list[Numbers]:
    return [rows[start:stop] for start, stop in pairwise([*range(0, len(rows), size), len(rows)])]


def shard(batch: Sequence[int] | Numbers, rank: int, world_size: int) -> tuple[list[int], bool]:
    """A rank's rows of a global batch, and whether they are a ghost: the first row as a stand-in, because none is left."""
    mine = [int(row) for row in batch[rank::world_size]]
    return (mine, False) if mine else ([int(batch[0])], True)
