"""Encoded rows: equal when read from the memory map, and cached by all that they depend on."""

import pickle
import tracemalloc

import numpy as np
import pytest

from framework.data.encoding import encode
from framework.data.module import prepare
from framework.data.spec import DataSpec
from framework.data.tokenization.trainers import BytesTokenizer, WordpieceTokenizer
from framework.errors import UserError
from tests.data.toy import Labeled, Stream, files

BYTES = BytesTokenizer().train(list)
SPEC = DataSpec(vocab_size=261, max_length=6, labels=("bad", "good"))
TABLE = "text,label\nfine,good\ndrop,good\n,bad\nmuch too long,bad\nö,good\n"


class Everything(Labeled):
    """Features of every type, in lists of different length."""

    def encode(self, row, tokenizer, spec):
        ids = tokenizer.encode(row["text"])
        return {"ids": ids, "other": ids * 2, "label": 1, "share": 0.25, "known": len(ids) > 2}


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def encoded(table, format=None, split="train", **values):
    source = files(format, train=str(table), test=str(table), validation_share=0, **values)
    return encode(source, split, format or Labeled(), BYTES, SPEC)


def test_rows_come_back(table):
    data = encoded(table)
    texts = ["fine", "", "much t", "ö"]
    assert [data[row] for row in range(len(data))] == [
        {"ids": BYTES.encode(text), "label": label} for text, label in zip(texts, (1, 0, 0, 1), strict=True)
    ]
    assert data.lengths.tolist() == [4, 0, 6, 2]
    assert isinstance(data.lengths.base, np.memmap)


def test_features_of_every_type(table):
    data = encoded(table, Everything())
    ids = BYTES.encode("fine")
    assert data[0] == {"ids": ids, "other": ids * 2, "label": 1, "share": 0.25, "known": True}
    assert {name: type(value) for name, value in data[0].items()} == {
        "ids": list,
        "other": list,
        "label": int,
        "share": float,
        "known": bool,
    }
    assert data[4]["other"] == BYTES.encode("öö")


def test_a_worker_is_sent_the_folder_alone(table):
    data = encoded(table)
    sent = pickle.dumps(data)
    assert len(sent) < 500
    assert [pickle.loads(sent)[row] for row in range(4)] == [data[row] for row in range(4)]  # noqa: S301 - our own


def test_dropped_and_truncated_rows_are_counted(table):
    data = encoded(table)
    assert (data.dropped, data.counts["truncated"], len(data)) == (1, 1, 4)
    assert "@truncated" not in data[0]


def test_raw_rows_are_kept_for_evaluation_alone(table):
    data = encoded(table, split="test")
    assert [data.raw(row)["text"] for row in range(4)] == ["fine", "", "much too long", "ö"]
    with pytest.raises(AssertionError, match="evaluation splits"):
        encoded(table).raw(0)


def test_features_must_be_alike(table):
    class Uneven(Labeled):
        def encode(self, row, tokenizer, spec):
            return {"ids": [1]} if row["text"] == "fine" else {"ids": [1], "label": 0}

    class Odd(Labeled):
        def encode(self, row, tokenizer, spec):
            return {"ids": [1], "mark": 1 if row["text"] == "fine" else [1]}

    with pytest.raises(UserError, match="line 3: this row has label"):
        encoded(table, Uneven())
    with pytest.raises(UserError, match="line 3: the feature 'mark' is a list in this row and a number in the rows before it"):
        encoded(table, Odd())


def test_the_key_follows_everything_that_makes_the_rows(table):
    first = encoded(table).folder
    assert encoded(table).folder == first
    assert encoded(table, split="test").folder != first
    assert encoded(table, limit=3).folder != first
    assert encoded(table, Everything()).folder != first
    source = files(train=str(table), test=str(table), validation_share=0)
    assert encode(source, "train", Labeled(), BYTES, DataSpec(261, 7, labels=("bad", "good"))).folder != first
    other = WordpieceTokenizer(60).train(lambda: ["fine much too long"])
    assert encode(source, "train", Labeled(), other, SPEC).folder != first
    option = Labeled()
    option.option = 2
    assert encode(source, "train", option, BYTES, SPEC).folder != first
    table.write_text(TABLE + "more,good\n", encoding="utf-8")
    assert encoded(table).folder != first


def test_the_corpus_is_never_in_memory(tmp_path):
    path = tmp_path / "long.txt"
    with path.open("w") as file:
        for number in range(6_000):
            file.write(f"line {number}: " + "much more text than what may be held in memory at once, " * 10 + "\n")
    size = path.stat().st_size
    prepare(files(Stream(), train=str(path), limit=600, validation_share=0.1), BytesTokenizer(), Stream(), 64)  # imports everything
    tracemalloc.start()
    data = prepare(files(Stream(), train=str(path), validation_share=0.1), BytesTokenizer(), Stream(), 64)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert {split: data.sizes[split]["rows"] for split in data.splits} == {"train": 5_400, "validation": 600}
    assert sum(data.sizes[split]["tokens"] for split in data.splits) == size > 3_000_000
    assert peak < size / 6
