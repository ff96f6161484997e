"""Batch samplers: every row once an epoch, a fixed number of batches, and an order that depends on seed and epoch."""

import numpy as np
import pytest

from framework import registry
from framework.data.batches import BucketsBatches, PackedBatches, RowsBatches, shard
from framework.errors import UserError

LENGTHS = np.random.default_rng(0).integers(1, 60, 1001)
WAYS = [RowsBatches(8), BucketsBatches(200), BucketsBatches(50, growth=2.0), PackedBatches(200), PackedBatches(rows=3)]


@pytest.fixture(params=WAYS, ids=lambda way: f"{type(way).__name__}{list(vars(way).values())}")
def way(request):
    return request.param


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("shuffle", [True, False])
def test_every_row_exactly_once_in_every_epoch(way, world_size, shuffle):
    for epoch in range(3):
        rows = np.concatenate(way.plan_batches(LENGTHS, 0, epoch, world_size, shuffle))
        assert np.array_equal(np.sort(rows), np.arange(len(LENGTHS)))


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_the_same_number_of_batches_in_every_epoch_and_under_every_seed(way, world_size):
    assert len({len(way.plan_batches(LENGTHS, seed, epoch, world_size, True)) for seed in range(3) for epoch in range(5)}) == 1


def test_seed_and_epoch_decide_the_order(way):
    def plan_batches(*position, shuffle=True):
        return [batch.tolist() for batch in way.plan_batches(LENGTHS, *position, 2, shuffle)]

    assert plan_batches(0, 0) == plan_batches(0, 0)
    assert plan_batches(0, 0) != plan_batches(0, 1)
    assert plan_batches(0, 0) != plan_batches(1, 0)
    assert plan_batches(0, 0, shuffle=False) == plan_batches(1, 4, shuffle=False)


@pytest.mark.parametrize("world_size", [1, 2])
def test_the_budget_counts_padded_tokens_of_a_process(world_size):
    for epoch in range(3):
        for batch in BucketsBatches(200).plan_batches(LENGTHS, 0, epoch, world_size, True):
            for rank in range(world_size):
                rows, dummy = shard(batch, rank, world_size)
                assert dummy or len(rows) * LENGTHS[rows].max() <= 200


def test_a_row_beyond_the_budget_makes_a_batch_of_its_own():
    lengths = np.array([3, 500, 4, 600, 3])
    sizes = {len(batch) for batch in BucketsBatches(10).plan_batches(lengths, 0, 0, 1, True) if lengths[batch].max() > 10}
    assert sizes == {1}


def test_buckets_hold_rows_of_like_length_and_waste_little():
    batches = BucketsBatches(600).plan_batches(LENGTHS, 0, 0, 1, True)
    padded = sum(len(batch) * LENGTHS[batch].max() for batch in batches)
    random = sum(len(batch) * LENGTHS[batch].max() for batch in RowsBatches(20).plan_batches(LENGTHS, 0, 0, 1, True))
    assert padded < 1.15 * LENGTHS.sum() < 0.75 * random


def test_other_rows_are_together_in_the_next_epoch():
    def together(epoch):
        return {frozenset(batch.tolist()) for batch in BucketsBatches(200).plan_batches(LENGTHS, 0, epoch, 1, True)}

    assert len(together(0) & together(1)) < len(together(0)) / 10


def test_one_process_two_processes_and_accumulation_have_the_same_rows():
    one = RowsBatches(64).plan_batches(LENGTHS, 5, 2, 1, True)
    two = RowsBatches(32).plan_batches(LENGTHS, 5, 2, 2, True)
    small = RowsBatches(32).plan_batches(LENGTHS, 5, 2, 1, True)
    accumulated = [np.concatenate(small[start : start + 2]) for start in range(0, len(small), 2)]
    for batches in (two, accumulated):
        assert [set(batch.tolist()) for batch in batches] == [set(batch.tolist()) for batch in one]


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
def test_rows_are_sharded_once_and_evenly(world_size):
    batch = np.arange(100, 111)
    shards = [shard(batch, rank, world_size) for rank in range(world_size)]
    assert sorted(row for rows, _ in shards for row in rows) == batch.tolist()
    assert max(len(rows) for rows, _ in shards) - min(len(rows) for rows, _ in shards) <= 1
    assert not any(dummy for _, dummy in shards)


def test_a_rank_without_a_row_gets_a_dummy():
    assert [shard(np.array([7, 9]), rank, 3) for rank in range(3)] == [([7], False), ([9], False), ([7], True)]


def test_the_budget_of_windows_is_turned_into_rows():
    lengths = np.full(100, 64)
    assert {len(batch) for batch in PackedBatches(640).plan_batches(lengths, 0, 0, 1, True)} == {10}
    assert {len(batch) for batch in PackedBatches(640).plan_batches(lengths, 0, 0, 2, True)} == {20}
    assert {len(batch) for batch in PackedBatches(10).plan_batches(lengths, 0, 0, 1, True)} == {1}
    assert {len(batch) for batch in PackedBatches(640, rows=12).plan_batches(lengths, 0, 0, 1, True)} == {12, 4}


@pytest.mark.parametrize("lengths", [[], [5]])
def test_hardly_any_rows(way, lengths):
    assert [batch.tolist() for batch in way.plan_batches(np.array(lengths, dtype=np.int64), 0, 0, 2, True)] == [[0]] * len(lengths)


@pytest.mark.parametrize(
    ("cls", "values"),
    [(RowsBatches, {"rows": 0}), (BucketsBatches, {"budget": 0}), (BucketsBatches, {"growth": 1.0}), (PackedBatches, {"rows": 0})],
)
def test_values_that_make_no_sense(cls, values):
    with pytest.raises(UserError, match=next(iter(values))):
        registry.Part(cls, **values)()


def test_only_running_text_is_packed():
    assert registry.broken(PackedBatches.rules, {"provided": {"stream"}}) == []
    assert "running text; choose data/batches=buckets" in registry.broken(PackedBatches.rules, {"provided": set()})[0]


@pytest.mark.parametrize(
    "option, reason",
    [
        ({"isolated": True}, "data.batches.isolated=false"),
        ({"stride": 4}, "data.batches.stride=null"),
        ({"stride": 0}, "data.batches.stride must be at least 1"),
    ],
)
def test_a_format_must_provide_documents_and_counted(option, reason):
    plain = {"isolated": False, "stride": None}
    assert registry.broken(PackedBatches.rules, {**plain, "provided": {"stream"}}) == []
    known = set() if option.get("stride") != 0 else {"counted"}
    assert reason in registry.broken(PackedBatches.rules, {**plain, **option, "provided": {"stream"} | known})[0]
    if option.get("stride") != 0:
        assert registry.broken(PackedBatches.rules, {**plain, **option, "provided": {"stream", "documents", "counted"}}) == []
