"""Ragged arrays and features of several rows, beside plain lists."""

from random import Random

import numpy as np
import pytest
import torch

from framework.config import catalogue
from framework.data.feature_reader import FeatureReader
from framework.data.features import FeatureWriter
from framework.data.padding import pad, padding_mask, stack_features
from framework.data.ragged import FeatureRows, Ragged
from framework.data.windows import RowExamples
from framework.registry import Part
from framework.testing.toy_task import ToyTask
from tests.training.few_rows import few_rows

ROWS = {
    "ints": [[5, 6, 7], [8], [], [9, 10]],
    "floats": [[0.5], [], [1.25, -3.0]],
    "bools": [[True, False], [True], [False]],
    "empty": [[], []],
    "one length": [[1, 2], [3, 4]],
}


def stored(rows, folder, first=3):
    """The rows as they are read from disk, in another order and among others."""
    writer = FeatureWriter(folder, "values")
    for row in [*rows[:1] * first, *rows[::-1]]:
        writer.add(row)
    reader = FeatureReader(folder, "values", **writer.close())
    return reader.column(np.arange(len(rows))[::-1] + first)


@pytest.mark.parametrize("name", ROWS)
def test_rows_come_back_from_disk(name, tmp_path):
    for rows in (Ragged.of(ROWS[name]), stored(ROWS[name], tmp_path)):
        assert [row.tolist() for row in rows] == ROWS[name]
        assert [type(number) for row in rows for number in row.tolist()] == [type(number) for row in ROWS[name] for number in row]


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize(("start", "stop"), [(0, None), (1, None), (0, -1), (0, 2), (2, -1), (0, 0)])
def test_a_cut_is_a_slice_of_each_row(name, start, stop, tmp_path):
    cut = stored(ROWS[name], tmp_path).cut(start, stop)
    assert [row.tolist() for row in cut] == [row[start:stop] for row in ROWS[name]]


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("longer", [None, 5])
def test_padding_is_that_of_lists(name, longer, tmp_path):
    value = {"bools": False, "floats": 0.0}.get(name, -100)
    rows = stored(ROWS[name], tmp_path)
    expected = pad(ROWS[name], value, longer)
    for padded in (pad(rows, value, longer), pad([np.array(row, dtype=rows.dtype) for row in ROWS[name]], value, longer)):
        assert padded.dtype == expected.dtype
        assert torch.equal(padded, expected)
    mask, wanted = padding_mask(rows), padding_mask(ROWS[name])
    assert (mask is None) == (wanted is None)
    assert mask is None or torch.equal(mask, wanted)


def test_numbers_around_rows():
    rows = Ragged.of([[5, 6, 7], [8], []])
    assert rows.padded(0, before=[1, 2], after=[3, 4]).tolist() == [[1, 2, 5, 6, 7, 3, 4], [1, 2, 8, 3, 4, 0, 0], [1, 2, 3, 4, 0, 0, 0]]


def test_slices_start_again_after_the_last_value(tmp_path):
    writer = FeatureWriter(tmp_path, "ids")
    for row in ([5, 6], [7]):
        writer.add(row)
    reader = FeatureReader(tmp_path, "ids", **writer.close())
    rows = reader.slices(np.array([2, 0, 1]), np.array([8, 2, 1]))
    assert [row.tolist() for row in rows] == [[7, 5, 6, 7, 5, 6, 7, 5], [5, 6], [6]]


def test_rows_are_dicts_of_plain_values():
    given = [{"ids": [5, 6], "label": 1, "spans": [[1], [2, 3]]}, {"ids": [7], "label": 0, "spans": []}]
    rows = FeatureRows.of(given)
    assert list(rows) == rows[:] == given
    assert rows[-1] == given[1]
    assert rows.values("label") == [1, 0]
    assert FeatureRows.of(rows) is rows
    assert rows.without("spans").names == ("ids", "label")
    assert rows.but(label=np.array([3, 4]), more=np.array([5, 6]))[1] == {**given[1], "label": 4, "more": 6}
    assert json_values(rows[0]) == {int, list}
    for wrong, read in (("ids", rows.numbers), ("label", rows.lists), ("spans", rows.lists)):
        with pytest.raises(ValueError, match=repr(wrong)):
            read(wrong)
    with pytest.raises(KeyError):
        rows.column("absent")
    with pytest.raises(IndexError):
        rows[2]


def json_values(features):
    return {type(value) for value in features.values()}


def test_a_feature_that_one_row_lacks_is_none_of_all():
    assert FeatureRows.of([{"ids": [5], "label": 1}, {"ids": [6]}]).names == ("ids",)
    assert "label" not in stack_features([{"ids": [5], "label": 1}, {"ids": [6]}], 0)


@pytest.mark.parametrize("name", catalogue.load().names("task"))
def test_arrays_and_dicts_make_the_same_batch(name):
    """The batch that a format makes of the arrays on disk equals that of the rows as `encode` returned them."""
    toy = ToyTask(f"task/{name}", few_rows(Part(f"task/{name}")))
    assert len(toy.examples.lengths) > 3
    rows = toy.examples.batch(np.array([2, 0, 1]), 0)
    dicts = list(rows)
    one, other = (toy.format.collate(features, toy.spec, Random(1)) for features in (rows, dicts))
    assert one.keys() == other.keys()
    for key, value in one.items():
        assert torch.equal(value, other[key]) if isinstance(value, torch.Tensor) else value == other[key]
    if isinstance(toy.examples, RowExamples):
        assert dicts == [toy.prepared.encoded["test"][row] for row in (2, 0, 1)]
