"""Features of any type: read back equal from disk, with equal types, and refused by name where they are none."""

import math

import numpy as np
import pytest
import torch

from framework.data.encoding import Encoded
from framework.data.encoding_writer import Writer
from framework.data.formats import BatchRows, Format
from framework.data.padding import stack_features

EQUAL = {
    "ints": [3, -4, 0],
    "bools": [True, False, True],
    "floats": [0.2, 0.9, 1.7],
    "large ints": [1 << 40, -(1 << 62), 1],
    "int lists": [[1, 2, 3], [], [-7]],
    "empty lists": [[], [], []],
    "empty at first": [[], [[4], []], [[5, 6]]],
    "float lists": [[0.2, 0.9, 1.7], [1e-300], []],
    "bool lists": [[True], [False, True], []],
    "large int lists": [[1], [1 << 31, -(1 << 31) - 1], [(1 << 63) - 1]],
    "lists of lists": [[[10, 1], [12, 3]], [[20, 1], [22, 3, 5], []], []],
    "lists of float lists": [[[0.5], [0.25, 1e9]], [[]], [[0.1]]],
    "lists of large ints": [[[1]], [[1 << 50]], [[2], [3]]],
    "not finite": [math.inf, -math.inf, 0.5],
}
REFUSED = {
    "a text": ["a"],
    "a dict": [{"a": 1}],
    "None": [None],
    "texts": [["a", "b"]],
    "an array": [np.zeros(2)],
    "a tensor": [torch.zeros(2)],
    "lists in lists in lists": [[[[1]]]],
    "a number beside a list": [[1, [2]]],
    "None in a list": [[1, None]],
    "a list after a number": [1, [1]],
    "an empty list after a number": [1, []],
    "a number after an empty list": [[], 1],
    "a list of lists after a list": [[1], [[1]]],
    "a number after a bool": [True, 1],
    "bools and numbers": [[True, 2]],
    "more than 64 bits": [1 << 63],
    "ints that no float equals": [0.5, (1 << 53) + 1],
    "floats after such ints": [(1 << 53) + 1, 0.5],
}


def write(folder, rows):
    with Writer(folder, keep_raw=False) as writer:
        for row in rows:
            writer.add({}, row, Format())
    return Encoded(folder)


def types(value):
    return [types(item) for item in value] if isinstance(value, list) else type(value)


@pytest.mark.parametrize("values", EQUAL.values(), ids=EQUAL)
def test_features_are_read_back_equal(tmp_path, values):
    data = write(tmp_path, [{"ids": [1, 2], "mine": value, "after": 7} for value in values])
    back = [data[row]["mine"] for row in range(len(values))]
    assert back == values and types(back) == types(values)
    assert [data[row]["after"] for row in range(len(values))] == [7] * len(values)


def test_ints_among_floats_are_floats(tmp_path):
    data = write(tmp_path, [{"ids": [1], "one": one, "many": many} for one, many in ((1, [1, 2]), (0.5, [3, 0.5]), (2, [4]))])
    assert [(row["one"], row["many"]) for row in map(data.__getitem__, range(3))] == [(1.0, [1.0, 2.0]), (0.5, [3.0, 0.5]), (2.0, [4.0])]


def test_numbers_of_numpy_are_numbers(tmp_path):
    row = write(tmp_path, [{"ids": [np.int64(5)], "share": np.float32(0.5), "known": np.bool_(True)}])[0]
    assert row == {"ids": [5], "share": 0.5, "known": True} and row["known"] is True


@pytest.mark.parametrize("values", REFUSED.values(), ids=REFUSED)
def test_anything_else_is_refused_by_name(tmp_path, values):
    with pytest.raises(ValueError, match="'mine'"):
        write(tmp_path, [{"ids": [1], "mine": value} for value in values])


@pytest.mark.parametrize("name", ["@rows", "@mine", "a/b", "..", "a b"])
def test_names_that_no_feature_can_have(tmp_path, name):
    with pytest.raises(ValueError, match=repr(name)):
        write(tmp_path, [{"ids": [1], name: 1}])


NAMES = (
    "row",
    "raw",
    "tokens",
    "padded_tokens",
    "dummy",
    "slots",
    "ghost",
    "real",
    "truncated",
    "documents",
    "counted",
    "lengths",
    "values",
)


def test_names_of_features_are_free(tmp_path):
    rows = [{"ids": [1, 2, 3], **{name: [number, 8] for name in NAMES}} for number in (40, 41)]
    data = write(tmp_path, [{**row, "@truncated": number == 0} for number, row in enumerate(rows)])
    assert [data[0], data[1]] == rows and data.counts["truncated"] == 1
    batch = BatchRows([0, 1], rows, 6, 6).added_to(stack_features([data[0], data[1]], 0))
    assert all(batch[name].tolist() == [[40, 8], [41, 8]] for name in NAMES)
    assert batch["@rows"].numbers == [0, 1] and batch["@rows"].tokens == 6


def test_batches_hold_features_as_given():
    rows = [
        {"ids": [5, 6], "times": [0.25, 0.5], "spans": [[1, 2], [3]], "known": [True], "share": 0.5},
        {"ids": [7], "times": [1.5], "spans": [[4, 5, 6]], "known": [False, True], "share": 2.0},
    ]
    batch = stack_features(rows, padding=9)
    assert {name: value.tolist() for name, value in batch.items()} == {
        "ids": [[5, 6], [7, 9]],
        "padding_mask": [[True, True], [True, False]],
        "times": [[0.25, 0.5], [1.5, 0.0]],
        "spans": [[[1, 2, 0], [3, 0, 0]], [[4, 5, 6], [0, 0, 0]]],
        "known": [[True, False], [False, True]],
        "share": [0.5, 2.0],
    }
    assert batch["known"].dtype == torch.bool and batch["spans"].dtype == torch.int64


def test_choices_have_a_padding_mask():
    batch = stack_features([{"ids": [[5, 6], [7]]}, {"ids": [[8]]}], padding=1)
    assert batch["ids"].tolist() == [[[5, 6], [7, 1]], [[8, 1], [1, 1]]]
    assert batch["padding_mask"].tolist() == [[[True, True], [True, False]], [[True, False], [False, False]]]
    assert stack_features([{"ids": [[5], [6]]}], padding=1)["padding_mask"] is None


def test_lists_that_are_empty_in_a_whole_batch_stay_integers():
    batch = stack_features([{"ids": [], "spans": []}, {"ids": [], "spans": [[]]}], padding=0)
    assert batch["ids"].shape == (2, 0) and batch["ids"].dtype == torch.int64
    assert batch["spans"].shape[0] == 2 and batch["spans"].dtype == torch.int64


def test_keys_of_the_framework_are_kept_free():
    with pytest.raises(ValueError, match="padding_mask"):
        stack_features([{"ids": [1], "padding_mask": [1]}], padding=0)
    with pytest.raises(ValueError, match="'@rows'"):
        BatchRows([0]).added_to({"@rows": 1})
