"""Data loader of one rank, with a batch order known in advance, so that it can start in the middle of an epoch."""

from collections.abc import Callable, Iterator, Sequence
from random import Random

import numpy as np
from torch.utils.data import DataLoader, Dataset, Sampler

from framework.data.batches import Indices, shard
from framework.data.formats import Batch, BatchRows, Format
from framework.data.spec import DataSpec
from framework.data.windows import Examples

Step = tuple[int, int, list[int], bool]  # epoch, batch number, the rank's examples, whether they are a dummy


class ShardedBatchSampler(Sampler[Step]):
    """The steps of an epoch on one rank. Lightning, or another training loop, calls `set_epoch` before each epoch.

    plan_batches: epoch -> the global batches. skip: number of batches at the start of this epoch that were used before a resume.
    """

    def __init__(self, plan_batches: Callable[[int], list[Indices]], rank: int, world_size: int):
        self.plan_batches, self.rank, self.world_size = plan_batches, rank, world_size
        self.epoch, self.skip = 0, 0
        self.repeats = False  # whether every epoch is the first
        self.steps = len(plan_batches(0))

    def set_epoch(self, epoch: int) -> None:
        epoch = 0 if self.repeats else epoch
        if epoch != self.epoch:
            self.epoch, self.skip = epoch, 0

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Step]:
        batches = self.plan_batches(self.epoch)
        assert len(batches) == self.steps, f"epoch {self.epoch} has {len(batches)} batches, epoch 0 has {self.steps}"
        for number in range(self.skip, len(batches)):
            rows, dummy = shard(batches[number], self.rank, self.world_size)
            yield self.epoch, number, rows, dummy


class BatchDataset(Dataset[Batch]):
    """Collates the batch of a step. A batch depends only on its step, so any worker may collate it.

    raw: whether batches hold the rows as the source read them (evaluation). unread: keys of a batch to leave out.
    """

    def __init__(self, examples: Examples, format: Format, spec: DataSpec, seed: int, raw: bool, unread: Sequence[str] = ()):
        self.examples, self.format, self.spec, self.seed, self.raw = examples, format, spec, seed, raw
        self.unread = unread
        self.left_out = [name for name in unread if name in format.dispensable]

    def __getitem__(self, step: Step) -> Batch:
        epoch, number, rows, dummy = step
        offset = self.examples.offset(self.seed, epoch)
        places = np.asarray(rows)
        features = self.examples.batch(places, offset).without(*self.left_out)
        # in evaluation the same for every batch, seed and epoch, so that evaluations are comparable
        random = Random("collate" if self.raw else f"collate {self.seed} {epoch} {number}")
        batch = self.format.collate(features, self.spec, random)
        batch = {name: value for name, value in batch.items() if name not in self.unread}
        lengths = self.examples.lengths[places]
        counts = (0, 0) if dummy else (int(lengths.sum()), len(rows) * int(lengths.max()))
        return BatchRows(rows, [self.examples.raw(row) for row in rows] if self.raw else None, *counts, dummy).added_to(batch)


class BatchLoader(DataLoader[Batch]):
    """Data loader of one rank, which can start in the middle of an epoch.

    Use it with `Trainer(use_distributed_sampler=False)`, because the sampler shards batches itself.

    pin_memory: batches are in page-locked memory, from which a GPU copies them while it computes.
    """

    def __init__(self, dataset: BatchDataset, steps: ShardedBatchSampler, workers: int = 0, pin_memory: bool = False):
        lasting = workers > 0
        super().__init__(dataset, sampler=steps, batch_size=None, num_workers=workers, persistent_workers=lasting, pin_memory=pin_memory)
        self.steps = steps
        self._started = False  # whether the next iteration starts where `start_at` says

    def start_at(self, epoch: int, batch: int) -> None:
        """The next iteration starts at this batch of an epoch; those after it are of whole epochs again."""
        self.steps.set_epoch(epoch)
        self.steps.skip, self._started = batch, True

    def repeat(self) -> None:
        """Every epoch is the first one from now on: the same batches in the same order."""
        self.steps.repeats = True
        self.steps.set_epoch(0)

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        if not self._started:
            self.steps.skip = 0
        self._started = False
        yield from super().__iter__()
