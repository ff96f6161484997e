"""Batches for one rank, in an order that is known in advance, so that a run can go on in the middle of an epoch."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from framework.data.batches import Numbers, shard
from framework.data.formats import Batch, Format
from framework.data.spec import DataSpec
from framework.data.windows import Examples

Step = tuple[int, int, list[int], bool]  # epoch, batch number, the rank's examples, whether they are a ghost


class ShardedBatchSampler(Sampler[Step]):
    """The steps of an epoch for one rank. Lightning calls `set_epoch` before each epoch."""

    def __init__(self, plan: Callable[[int], list[Numbers]], rank: int, world_size: int):
        self.plan, self.rank, self.world_size = plan, rank, world_size
        self.epoch, self.skip = 0, 0
        self.steps = len(plan(0))

    def set_epoch(self, epoch: int) -> None:
        if epoch != self.epoch:
            self.epoch, self.skip = epoch, 0

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Step]:
        plan = self.plan(self.epoch)
        assert len(plan) == self.steps, f"epoch {self.epoch} has {len(plan)} batches, epoch 0 has {self.steps}"
        for number in range(self.skip, len(plan)):
            rows, dummy = shard(plan[number], self.rank, self.world_size)
            yield self.epoch, number, rows, dummy


class BatchDataset(Dataset[Batch]):
    """Makes the batch of a step. All it depends on comes with the step, so it may run in any worker.

    Adds to what the format makes: `row` (B,) the examples' numbers; `dummy`; `tokens` and `padded_tokens`, the lengths of the rows
    and the same if all were as long as the longest; with `raw` the rows as the source read them.
    """

    def __init__(self, examples: Examples, format: Format, spec: DataSpec, seed: int, raw: bool):
        self.examples, self.format, self.spec, self.seed, self.raw = examples, format, spec, seed, raw

    def __getitem__(self, step: Step) -> Batch:
        epoch, number, rows, dummy = step
        offset = self.examples.offset(self.seed, epoch)
        features = [self.examples.features(row, offset) for row in rows]
        random = Random("collate" if self.raw else f"collate {self.seed} {epoch} {number}")  # evaluations compare
        batch = self.format.collate(features, self.spec, random)
        lengths = [int(self.examples.lengths[row]) for row in rows]
        batch |= {"row": torch.tensor(rows), "dummy": dummy}
        batch |= {"tokens": 0 if dummy else sum(lengths), "padded_tokens": 0 if dummy else len(lengths) * max(lengths)}
        if self.raw:
            batch["raw"] = [self.examples.raw(row) for row in rows]
        return batch


class BatchLoader(DataLoader[Batch]):
    """Its state is the epoch and the batches handed out in it; batches that workers made ahead do not count.

    Use with `Trainer(use_distributed_sampler=False)`: the batches are dealt to the ranks already.
    """

    def __init__(self, dataset: BatchDataset, steps: ShardedBatchSampler, workers: int = 0):
        super().__init__(dataset, sampler=steps, batch_size=None, num_workers=workers, persistent_workers=workers > 0)
        self.steps = steps
        self._served, self._resumed = 0, False

    def set_epoch(self, epoch: int) -> None:
        """For loops of one's own; Lightning asks the sampler."""
        self.steps.set_epoch(epoch)

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        if not self._resumed:
            self.steps.skip = 0
        self._resumed = False
        self._served = self.steps.skip
        for batch in super().__iter__():
            self._served += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.steps.epoch, "served": self._served}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps.epoch, self.steps.skip, self._resumed = state["epoch"], state["served"], True
