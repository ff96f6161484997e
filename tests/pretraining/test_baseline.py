"""Prediction from neighbors, and the built-in rows."""

import torch

from framework import BatchRows
from plugins.pretraining.baseline import Neighbors, counted
from plugins.pretraining.masked import MaskedFormat

TEXTS = [[5, 6, 7, 8], [5, 6, 7, 9], [5, 10, 7, 8], [11, 10, 12, 8]]


def test_both_neighbors_count():
    predict = Neighbors(TEXTS, hidden=[4])
    assert predict(5, 7) == 6  # twice between them; 10 once
    assert predict(11, 12) == 10
    assert predict(4, 12) == 10  # a masked token is no neighbor
    assert predict(11, None) == 10
    assert predict(99, 99) in (5, 7, 8)  # neighbors never seen: what is frequent


def test_the_targets_of_each_row_are_counted():
    predict = Neighbors(TEXTS, hidden=[4])
    masked = {"ids": torch.tensor([[5, 4, 7, 8], [11, 4, 12, 4]]), "targets": torch.tensor([[-100, 6, -100, -100], [-100, 6, -100, 8]])}
    rows = counted(predict, [{**masked, "@rows": BatchRows([3, 1])}], "ids", both_sides=True)
    assert list(rows) == [{"row": 3, "right": 1, "tokens": 1}, {"row": 1, "right": 1, "tokens": 2}]
    causal = {"ids": torch.tensor([[5, 6]]), "targets": torch.tensor([[6, 8]])}
    assert list(counted(predict, [{**causal, "@rows": BatchRows([0])}], "ids", both_sides=False)) == [{"row": 0, "right": 1, "tokens": 2}]


def test_built_in_text_is_there_and_splits_do_not_share_it():
    format = MaskedFormat(builtin_megabytes=0.2)
    texts = {split: {row["text"] for row in format.builtin(split, 0)} for split in ("train", "validation", "test")}
    sizes = {split: sum(len(text.encode()) for text in found) for split, found in texts.items()}
    assert 0 < sizes["train"] <= 200_000 and sizes["test"] > 0 and sizes["validation"] > 0
    assert not texts["train"] & texts["test"] and not texts["train"] & texts["validation"]
    assert list(format.builtin("test", 0)) == list(format.builtin("test", 1))
