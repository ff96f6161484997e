"""Readers of files by kind, and the place of each row."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from framework.errors import UserError
from tests.data.toy import Labeled, Pairs, Stream, files

CSV = 'text,label\nfine,good\n"two\nlines, ""quoted""",bad\n\nlast,good\n'
ROWS = [{"text": "fine", "label": "good"}, {"text": 'two\nlines, "quoted"', "label": "bad"}, {"text": "last", "label": "good"}]


def written(tmp_path, name, text, encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return str(path)


def read(source, split="train"):
    return [row for row, _ in source.rows(split)]


def test_csv_counts_lines_through_quoted_line_breaks(tmp_path):
    path = written(tmp_path, "a.csv", CSV)
    found = list(files(train=path, validation_share=0).rows("train"))
    assert [row for row, _ in found] == ROWS
    assert [where for _, where in found] == [f"{path}, line 2", f"{path}, line 3", f"{path}, line 6"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings_and_byte_order_marks(tmp_path, encoding):
    path = written(tmp_path, "a.csv", "text,label\nÜber,gut\n", encoding)
    assert read(files(train=path, encoding=encoding, validation_share=0)) == [{"text": "Über", "label": "gut"}]


def test_a_byte_order_mark_needs_no_option(tmp_path):
    path = written(tmp_path, "a.csv", "text,label\nx,y\n", "utf-8-sig")
    assert read(files(train=path, validation_share=0)) == [{"text": "x", "label": "y"}]


def test_only_a_line_feed_ends_a_line(tmp_path):
    text = "one\u2028two\x0cthree"
    path = written(tmp_path, "a.tsv", f"{text}\tgood\n")
    assert read(files(train=path, columns={"text": 0, "label": 1}, validation_share=0)) == [{"text": text, "label": "good"}]


@pytest.mark.parametrize(
    ("columns", "header", "rows"),
    [
        ({"text": "review", "label": "stars"}, None, [{"text": "fine", "label": "5"}]),
        ({"text": 1, "label": 0}, True, [{"text": "fine", "label": "5"}]),
        ({"text": 1, "label": 0}, None, [{"text": "review", "label": "stars"}, {"text": "fine", "label": "5"}]),
        ({"text": 1, "label": "stars"}, None, [{"text": "fine", "label": "5"}]),
        ({}, False, [{"text": "stars", "label": "review"}, {"text": "5", "label": "fine"}]),
    ],
)
def test_columns_by_name_and_number_with_and_without_header(tmp_path, columns, header, rows):
    path = written(tmp_path, "a.csv", "stars,review,extra\n5,fine,x\n")
    assert read(files(train=path, columns=columns, header=header, validation_share=0)) == rows


def test_tsv_takes_quotes_as_they_stand(tmp_path):
    path = written(tmp_path, "a.tsv", 'text\tlabel\n"open\tgood\n')
    assert read(files(train=path, validation_share=0)) == [{"text": '"open', "label": "good"}]


def test_delimiter_and_quoting_can_be_said(tmp_path):
    path = written(tmp_path, "a.dat", "text;label\n'a;b;good\n")
    source = files(train=path, kind="csv", delimiter=";", quoting=False, header=True, validation_share=0, columns={"text": 1, "label": 0})
    with pytest.raises(ValueError, match="3 columns where the header has 2"):
        read(source)
    path = written(tmp_path, "b.dat", 'text;label\n"a;b";good\n')
    assert read(files(train=path, kind="csv", delimiter=";", validation_share=0)) == [{"text": "a;b", "label": "good"}]


def test_json_lines_by_name_and_nested(tmp_path):
    lines = [{"translation": {"en": "one", "de": "eins"}, "id": 1}, {"translation": {"en": "two", "de": "zwei"}}]
    path = written(tmp_path, "a.jsonl", "\n\n".join(json.dumps(line) for line in lines))
    source = files(Pairs(), train=path, columns={"source": "translation.en", "target": "translation.de"}, validation_share=0)
    assert list(source.rows("train")) == [
        ({"source": "one", "target": "eins"}, f"{path}, line 1"),
        ({"source": "two", "target": "zwei"}, f"{path}, line 3"),
    ]


def test_parquet_reads_the_wanted_columns(tmp_path):
    path = str(tmp_path / "a.parquet")
    pyarrow.parquet.write_table(pyarrow.table({"id": [1, 2], "text": ["a", "b"], "stars": ["x", "y"]}), path)
    source = files(train=path, columns={"label": "stars"}, validation_share=0)
    assert list(source.rows("train")) == [({"text": "a", "label": "x"}, f"{path}, row 1"), ({"text": "b", "label": "y"}, f"{path}, row 2")]


TEXT = "one\ntwo\n\n\nthree\r\nfour"


@pytest.mark.parametrize(
    ("unit", "texts", "begins"),
    [
        ("line", ["one\n", "two\n", "\n", "\n", "three\r\n", "four"], [1, 2, 3, 4, 5, 6]),
        ("paragraph", ["one\ntwo\n\n\n", "three\r\nfour"], [1, 5]),
        ("file", [TEXT], [1]),
    ],
)
def test_running_text_loses_nothing(tmp_path, unit, texts, begins):
    path = written(tmp_path, "a.txt", TEXT)
    found = list(files(Stream(), train=path, text_unit=unit, validation_share=0).rows("train"))
    assert [row["text"] for row, _ in found] == texts
    assert [where for _, where in found] == [f"{path}, line {line}" for line in begins]


def test_texts_to_predict_are_lines_without_their_ends(tmp_path):
    path = written(tmp_path, "a.txt", TEXT)
    source = type(files()).to_predict(Labeled(), path)
    assert read(source, "test") == [{"text": text} for text in ("one", "two", "three", "four")]


def test_rows_to_predict_need_no_label(tmp_path):
    path = written(tmp_path, "a.csv", "text,other\nfine,1\n")
    assert read(type(files()).to_predict(Labeled(), path), "test") == [{"text": "fine"}]


def test_a_pattern_takes_lines_apart(tmp_path):
    path = written(tmp_path, "q.label", "DESC:manner How did it ?\nNUM:count How many ?\n")
    source = files(train=path, pattern=r"(?P<label>[A-Z]+):\w+ (?P<text>.*)", validation_share=0)
    assert read(source) == [{"text": "How did it ?", "label": "DESC"}, {"text": "How many ?", "label": "NUM"}]


@pytest.mark.parametrize("columns", [{}, {"source": 0, "target": 1}])
def test_parallel_files_are_columns(tmp_path, columns):
    names = [written(tmp_path, "t.en", "one\ntwo\n"), written(tmp_path, "t.de", "eins\r\nzwei")]
    source = files(Pairs(), train=names, columns=columns, validation_share=0)
    assert read(source) == [{"source": "one", "target": "eins"}, {"source": "two", "target": "zwei"}]


def test_parallel_files_in_the_other_direction(tmp_path):
    names = [written(tmp_path, "t.en", "one\n"), written(tmp_path, "t.de", "eins\n")]
    source = files(Pairs(), train=names, columns={"source": 1, "target": 0}, validation_share=0)
    assert read(source) == [{"source": "eins", "target": "one"}]


def test_a_pattern_selects_lines(tmp_path):
    path = written(tmp_path, "train.txt", "IN: a OUT: x\nIN: b OUT: x x x\n\nIN: c OUT: x x\n")
    short = {"train": path, "pattern": r"IN: (?P<label>.*) OUT: (?P<text>\S+( \S+){0,1})", "validation_share": 0}
    source = files(**short, unmatched="skip", test={"path": path, "pattern": r"IN: (?P<label>.*) OUT: (?P<text>\S+( \S+){2,})"})
    assert [row["label"] for row, _ in source.rows("train")] == ["a", "c"]
    assert [(row["label"], where) for row, where in source.rows("test")] == [("b", f"{path}, line 2")]
    assert "1 of 3 lines" in source.split_note("train", {}) and "2 of 3 lines" in source.split_note("test", {})
    with pytest.raises(UserError, match="line 2.*does not match.*\n.*data.unmatched=skip"):
        list(files(**short).rows("train"))
    assert files(**short).split_note("train", {}) == ""


def test_several_files_and_patterns_follow_each_other(tmp_path):
    for number in (2, 1):
        written(tmp_path, f"part_{number}.csv", f"text,label\nnumber {number},good\n")
    source = files(folder=str(tmp_path), train="part_*.csv", validation_share=0)
    assert [row["text"] for row in read(source)] == ["number 1", "number 2"]
    source = files(folder=str(tmp_path), train=["part_2.csv", "part_1.csv"], validation_share=0)
    assert [row["text"] for row in read(source)] == ["number 2", "number 1"]


def test_limit_is_for_each_split(tmp_path):
    path = written(tmp_path, "a.csv", CSV)
    source = files(train=path, test=path, limit=2, validation_share=0)
    assert (len(read(source)), len(read(source, "test"))) == (2, 2)


def test_the_fingerprint_follows_the_file_and_the_options(tmp_path):
    path = written(tmp_path, "a.csv", CSV)
    first = files(train=path, test=path).fingerprint("train")
    assert first == files(train=path, test=path).fingerprint("train")
    assert first != files(train=path, test=path, limit=1).fingerprint("train")
    assert first != files(train=path, test=path, validation_share=0.5).fingerprint("train")
    written(tmp_path, "a.csv", CSV + "more,good\n")
    assert first != files(train=path, test=path).fingerprint("train")
