"""Contract tests of batch samplers (kind `batches`)."""

from collections.abc import Iterator

import numpy as np

from framework.data.batches import Batches, Indices, shard
from framework.testing.contract import KindPromises, require

ROWS = (0, 1, 7, 200)
WORLDS = (1, 2, 3)


class BatchesPromises(KindPromises):
    """Contract tests of a batch sampler."""

    def sampler(self) -> Batches:
        return self.with_values()()

    def plans(self) -> Iterator[tuple[str, Indices, list[Indices], int]]:
        """Tuples of a description, lengths, global batches and number of ranks, for several sets of rows."""
        for rows in ROWS:
            lengths = lengths_of(rows, windows=self.sampler().packs)
            for world in WORLDS:
                for shuffle in (True, False):
                    said = f"{rows} rows, {world} ranks, {'shuffled' if shuffle else 'in order'}"
                    yield said, lengths, self.sampler().plan_batches(lengths, 3, 1, world, shuffle), world

    def test_every_row_comes_once(self) -> None:
        """Every row is in one batch of an epoch, once; no batch is empty."""
        for said, lengths, batches, _ in self.plans():
            require(all(len(batch) for batch in batches), f"every row comes once: a batch is empty ({said})")
            rows = sorted(int(row) for batch in batches for row in batch)
            missing, twice = sorted({*range(len(lengths))} - {*rows}), sorted({row for row in rows if rows.count(row) > 1})
            require(rows == list(range(len(lengths))), f"every row comes once: missing {missing[:5]}, repeated {twice[:5]} ({said})")

    def test_ranks_make_the_same_steps(self) -> None:
        """All ranks make the same number of steps, the same in every epoch, and together they have the rows of the global batches."""
        for said, lengths, batches, world in self.plans():
            shards = [[shard(batch, rank, world) for batch in batches] for rank in range(world)]
            shared = sum(len(rows) for steps in shards for rows, dummy in steps if not dummy)
            require(shared == len(lengths), f"ranks make the same steps: they have {shared} of {len(lengths)} rows ({said})")
            for epoch in range(4):
                steps = len(self.sampler().plan_batches(lengths, 3, epoch, world, True))
                fixed = len(self.sampler().plan_batches(lengths, 3, 0, world, True))
                require(steps == fixed, f"ranks make the same steps: epoch {epoch} has {steps} batches, epoch 0 has {fixed} ({said})")

    def test_is_a_function_of_its_arguments(self) -> None:
        """Lengths, seed, epoch and number of ranks decide the batches, also after a resume. In order, seed and epoch do not matter."""
        lengths, used = lengths_of(200, windows=self.sampler().packs), self.sampler()
        for world in WORLDS:
            for shuffle in (True, False):
                first = plain(used.plan_batches(lengths, 3, 1, world, shuffle))
                used.plan_batches(lengths[:50], 4, 2, world, shuffle)
                again, new = (plain(one.plan_batches(lengths.copy(), 3, 1, world, shuffle)) for one in (used, self.sampler()))
                require(first == again == new, "is a function of its arguments: the same arguments give other batches the second time")
            seeds = [plain(used.plan_batches(lengths, seed, epoch, world, False)) for seed, epoch in ((3, 1), (4, 1), (3, 2))]
            require(seeds[0] == seeds[1] == seeds[2], "is a function of its arguments: without shuffle the batches depend on seed or epoch")

    def test_keeps_its_budget(self) -> None:
        """A rank's batch has at most `budget` tokens with padding, or one row; with `rows` at most so many rows."""
        options = {"budget": 64} if self.has("budget") else {"rows": 4} if self.has("rows") else {}
        sampler, lengths = self.with_values(**options)(), lengths_of(200, windows=self.sampler().packs)
        for world in WORLDS:
            for batch in sampler.plan_batches(lengths, 3, 1, world, True):
                rows, _ = shard(batch, 0, world)
                tokens = len(rows) * int(lengths[rows].max())
                fits = len(rows) == 1 or ("budget" not in options or tokens <= 64) and ("rows" not in options or len(rows) <= 4)
                require(fits, f"keeps its budget: {len(rows)} rows of up to {tokens // len(rows)} tokens with {options}")


def lengths_of(rows: int, windows: bool = False) -> Indices:
    """Numbers of tokens of rows, all equal for windows of running text."""
    return np.full(rows, 16) if windows else np.random.default_rng(0).integers(1, 40, rows)


def plain(batches: list[Indices]) -> list[list[int]]:
    return [[int(row) for row in batch] for batch in batches]
