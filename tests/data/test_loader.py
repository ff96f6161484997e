"""Data loaders: sharding over ranks, and starting in the middle of an epoch."""

import pytest
import torch

from framework.data.module import prepare
from framework.data.tokenization.trainers import BytesTokenizer
from framework.registry import Part
from tests.data.toy import Labeled, Stream, files

WAYS = {
    "rows": (Labeled(), Part("batches/rows", rows=4)),
    "buckets": (Labeled(), Part("batches/buckets", budget=60)),
    "packed": (Stream(), Part("batches/packed", rows=2)),
    "running rows": (Stream(), Part("batches/rows", rows=3)),
}


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"{number} {'x' * (number % 7)},{number % 2}\n" for number in range(42)))
    return str(path)


def prepared(table, way="rows", **values):
    format, batches = WAYS[way]
    return prepare(files(format, train=table, test=table, validation_share=0, batches=batches, **values), BytesTokenizer(), format, 12)


def plain(batch):
    """A batch as values that can be compared."""
    return {name: value.tolist() if isinstance(value, torch.Tensor) else value for name, value in batch.items()}


@pytest.fixture(params=WAYS)
def data(request, table):
    return prepared(table, request.param)


def test_a_loader_has_its_length(data):
    for split in data.splits:
        for world_size in (1, 2):
            loader = data.loader(split, world_size=world_size)
            assert len(list(loader)) == len(loader) > 2


def test_an_epoch_is_known_in_advance_and_the_next_one_differs(data):
    loader = data.loader("train", seed=1)
    first = [plain(batch) for batch in loader]
    assert first == [plain(batch) for batch in loader] == [plain(batch) for batch in data.loader("train", seed=1)]
    assert first != [plain(batch) for batch in data.loader("train", seed=2)]
    loader.steps.set_epoch(1)
    assert first != [plain(batch) for batch in loader]


def test_starting_in_the_middle_of_an_epoch(data):
    whole = data.loader("train", seed=1)
    whole.steps.set_epoch(3)
    expected = [plain(batch) for batch in whole]
    started = data.loader("train", seed=1)
    started.start_at(3, 2)
    started.steps.set_epoch(3)  # as Lightning does before it iterates
    assert len(started) == len(expected)
    assert [plain(batch) for batch in started] == expected[2:]
    assert [plain(batch) for batch in started] == expected, "the time after that is a whole epoch again"
    started.start_at(3, 2)
    started.steps.set_epoch(4)
    whole.steps.set_epoch(4)
    assert [plain(batch) for batch in started] == [plain(batch) for batch in whole], "another epoch has nothing to skip"


def test_the_first_epoch_is_repeated(data):
    loader = data.loader("train", seed=1)
    first = [plain(batch) for batch in loader]
    loader.repeat()
    loader.start_at(3, 1)
    assert [plain(batch) for batch in loader] == first[1:]
    loader.steps.set_epoch(4)
    assert [plain(batch) for batch in loader] == first


@pytest.mark.parametrize("way", ["rows", "packed"])
def test_workers_change_nothing(table, way):
    alone, helped = prepared(table, way).loader("train", seed=1), prepared(table, way, workers=2).loader("train", seed=1)
    for epoch in range(2):
        alone.steps.set_epoch(epoch)
        helped.steps.set_epoch(epoch)
        assert [plain(batch) for batch in helped] == [plain(batch) for batch in alone]
    helped.start_at(1, 1)
    assert [plain(batch) for batch in helped] == [plain(batch) for batch in alone][1:]


def test_ranks_share_the_rows_of_a_batch(data):
    one = [set(batch["@rows"].numbers) for batch in data.loader("train", seed=1)]
    served = []
    loaders = [data.loader("train", rank=rank, world_size=2, seed=1) for rank in range(2)]
    for first, second in zip(*loaders, strict=True):
        rows = [set(batch["@rows"].numbers) for batch in (first, second) if not batch["@rows"].dummy]
        assert len(set.union(*rows)) == sum(map(len, rows))
        served += [row for part in rows for row in part]
    assert sorted(served) == sorted(row for rows in one for row in rows)


def test_a_dummy_batch_has_no_tokens(table):
    data = prepared(table, limit=9)  # two batches of 4, and one row for two ranks
    last = [list(data.loader("train", rank=rank, world_size=2))[-1] for rank in range(2)]
    assert [batch["@rows"].dummy for batch in last] == [False, True]
    assert [len(batch["@rows"].numbers) for batch in last] == [1, 1]
    assert last[1]["@rows"].numbers == last[0]["@rows"].numbers
    assert (last[1]["@rows"].tokens, last[1]["@rows"].padded_tokens) == (0, 0)


def test_tokens_and_padded_tokens(table):
    for batch in prepared(table).loader("train"):
        widths = (batch["ids"] != 0).sum(1)
        assert batch["@rows"].tokens == int(widths.sum())
        assert batch["@rows"].padded_tokens == batch["ids"].numel()


def test_evaluation_has_raw_rows_in_the_order_of_the_file(table):
    data = prepared(table)
    batches = list(data.loader("test"))
    assert [row for batch in batches for row in batch["@rows"].numbers] == list(range(42))
    assert [row for batch in batches for row in batch["@rows"].raw] == list(data.rows("test"))
    assert next(iter(data.loader("train")))["@rows"].raw is None


def test_random_draws_depend_on_the_step(table):
    data = prepared(table)
    draws = [batch["draw"] for batch in data.loader("train", seed=1)]
    assert len(set(draws)) == len(draws)
    assert draws != [batch["draw"] for batch in data.loader("train", seed=2)]
    both = zip(data.loader("train", rank=0, world_size=2, seed=1), data.loader("train", rank=1, world_size=2, seed=1), strict=True)
    assert all(first["draw"] == second["draw"] for first, second in both), "the rank plays no part"
