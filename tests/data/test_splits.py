"""Derived splits: exact shares, every row once, reproducible by seed."""

import pytest

from framework.data.sources.builtin import BuiltinData
from framework.data.sources.files import FilesData
from framework.registry import Part
from tests.data.toy import Labeled, Stream, files


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"text {number},good\n" for number in range(100)))
    return str(path)


def texts(source, split):
    return [row["text"] for row, _ in source.rows(split)]


def test_random_rows_are_exactly_the_share_and_disjoint(table):
    source = files(train=table, validation_share=0.1)
    train, validation = texts(source, "train"), texts(source, "validation")
    assert (len(train), len(validation)) == (90, 10)
    assert sorted(train + validation) == sorted(f"text {number}" for number in range(100))
    assert validation != [f"text {number}" for number in range(90, 100)]


def test_the_seed_decides(table):
    def validation(seed):
        return texts(FilesData(Labeled(), seed, train=table, batches=Part("batches/rows")), "validation")

    assert validation(1) == validation(1) != validation(2)


def test_a_given_validation_file_is_taken(table, tmp_path):
    other = tmp_path / "b.csv"
    other.write_text("text,label\nheld out,good\n")
    source = files(train=table, validation=str(other))
    assert texts(source, "validation") == ["held out"]
    assert len(texts(source, "train")) == 100
    assert source.splits == ("train", "validation")


def test_the_last_rows(table):
    source = files(train=table, validation_share=0.05, split="last")
    assert texts(source, "validation") == [f"text {number}" for number in range(95, 100)]
    assert texts(source, "train") == [f"text {number}" for number in range(95)]


@pytest.mark.parametrize("how", ["random", "last"])
def test_one_file_gives_validation_and_test_too(table, how):
    source = files(train=table, validation_share=0.1, test_share=0.25, split=how)
    parts = {split: texts(source, split) for split in ("train", "validation", "test")}
    assert source.splits == tuple(parts)
    assert [len(part) for part in parts.values()] == [65, 10, 25]
    together = [text for part in parts.values() for text in part]
    everything = [f"text {number}" for number in range(100)]
    assert (together if how == "last" else sorted(together)) == (everything if how == "last" else sorted(everything))
    assert files(train=table, test_share=0.25, validation_share=0).splits == ("train", "test")
    assert files(train=table, test=table, test_share=0.25).fingerprint("test")["share"] is None


def test_the_test_part_is_the_same_for_every_seed_and_every_validation_share(table):
    def part(split, seed=0, validation_share=0.1):
        values = {"validation_share": validation_share, "test_share": 0.2, "batches": Part("batches/rows")}
        return texts(FilesData(Labeled(), seed, train=table, **values), split)

    assert part("test") == part("test", seed=1) == part("test", validation_share=0.5) == part("test", validation_share=0)
    assert part("validation") != part("validation", seed=1)


def test_a_text_is_cut_twice(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("0123456789" * 10)
    for unit in ("file", "line"):
        source = files(Stream(), train=str(path), validation_share=0.05, test_share=0.25, split="last", text_unit=unit)
        assert [texts(source, split) for split in source.splits] == [["0123456789" * 7], ["01234"], ["56789" + "0123456789" * 2]]


@pytest.mark.parametrize("unit", ["line", "paragraph", "file"])
def test_the_last_share_of_a_text_is_cut_at_the_character(tmp_path, unit):
    text = "".join(f"line {number} ä\n" + "\n" * (number % 3 == 0) for number in range(37))
    path = tmp_path / "a.txt"
    path.write_text(text, encoding="utf-8")
    source = files(Stream(), train=str(path), validation_share=0.1, split="last", text_unit=unit)
    border = int(len(text) * 0.9)
    assert "".join(texts(source, "train")) == text[:border]
    assert "".join(texts(source, "validation")) == text[border:]


def test_no_share_no_validation(table):
    assert files(train=table, validation_share=0).splits == ("train",)
    assert files(test=table).splits == ("test",)
    assert files(train=table, test=table).splits == ("train", "validation", "test")


def test_one_row_cannot_be_split(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\nalone,good\n")
    with pytest.raises(ValueError, match="one training row cannot be split: set data.validation=FILE, or data.validation_share=0"):
        texts(files(train=str(path)), "train")
    path.write_text("text,label\nalone,good\nlast,good\n")
    with pytest.raises(ValueError, match="2 training rows cannot be split: set data.validation=FILE"):
        texts(files(train=str(path), test_share=0.1), "test")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"validation_share": 1.0}, "validation_share=1.0 must be in \\[0, 1\\)"),
        ({"test_share": -0.1}, "test_share=-0.1 must be in \\[0, 1\\)"),
        ({"validation_share": 0.5, "test_share": 0.5}, "validation_share=0.5 and data.test_share=0.5 must sum to less than 1"),
        ({"limit": 0}, "limit=0 must be at least 1"),
    ],
)
def test_values_that_make_no_sense(table, values, message):
    with pytest.raises(ValueError, match=message):
        files(train=table, **values)


def test_builtin_rows_come_from_the_format():
    source = BuiltinData(Labeled(), 3, limit=5, batches=Part("batches/rows"))
    assert source.splits == ("train", "validation", "test")
    assert [row for row, _ in source.rows("test")] == list(Labeled().builtin("test", 3))[:5]
    assert next(source.rows("test"))[1] == "built-in test rows, row 1"
    assert source.fingerprint("train") != BuiltinData(Labeled(), 4, limit=5, batches=Part("batches/rows")).fingerprint("train")
