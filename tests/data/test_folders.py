"""Folders of texts, and gzip files."""

import gzip
import shutil

import pytest

from framework.errors import UserError
from tests.data.toy import Labeled, Pairs, Stream, files


@pytest.fixture
def folder(tmp_path):
    """The layout of IMDB: one folder a class, and other files."""
    for split, count in (("train", 4), ("test", 2)):
        for label in ("pos", "neg", "unsup"):
            place = tmp_path / split / label
            place.mkdir(parents=True)
            for number in range(count + (label == "pos")):
                (place / f"{number}_7.txt").write_text(f"{label} film {number}<br />Über.\n", encoding="utf-8")
        (tmp_path / split / "urls_pos.txt").write_text("http://example.org\n")
    return tmp_path


def source(folder, format=None, **values):
    return files(format or Labeled(), folder=str(folder), train="train", test="test", **{"classes": ["pos", "neg"], **values})


def test_each_folder_is_a_class_and_classes_alternate(folder):
    data = source(folder, validation_share=0)
    data.check()
    found = list(data.rows("train"))
    assert [row["label"] for row, _ in found] == ["pos", "neg"] * 4 + ["pos"]
    assert found[1] == ({"text": "neg film 0<br />Über.", "label": "neg"}, str(folder / "train" / "neg" / "0_7.txt"))
    assert data.splits == ("train", "test") and sum(1 for _ in data.rows("test")) == 5
    shutil.rmtree(folder / "train" / "unsup")
    assert {row["label"] for row, _ in source(folder, classes=None, validation_share=0).rows("train")} == {"pos", "neg"}


def test_limits_shares_and_fingerprints(folder):
    assert sum(1 for _ in source(folder, limit=2, validation_share=0).rows("train")) == 2
    assert [sum(1 for _ in source(folder, validation_share=0.2).rows(split)) for split in ("train", "validation")] == [7, 2]
    before = source(folder).fingerprint("train")
    assert before == source(folder).fingerprint("train") != source(folder, classes=["pos"]).fingerprint("train")
    (folder / "train" / "neg" / "9_1.txt").write_text("late")
    assert before != source(folder).fingerprint("train")


def complaint(data):
    with pytest.raises(UserError) as caught:
        data.check()
    return str(caught.value)


def test_mistakes(folder):
    assert f"{folder / 'train'} has no folder 'positive' (data.classes); it has: neg, pos, unsup" in complaint(
        source(folder, classes=["positive"])
    )
    (folder / "train" / "odd").mkdir()
    assert f"{folder / 'train' / 'odd'} has no files" in complaint(source(folder, classes=["odd"]))
    file = folder / "train" / "pos" / "0_7.txt"
    file.write_bytes("schön".encode("latin-1"))
    assert f"{file}, line 1, byte 3 of the file: 0xf6 is not utf-8" in complaint(source(folder))
    named = files(folder=str(folder), train="train/urls_pos.txt", kind="folders")
    assert "urls_pos.txt is a file (data.train); data.kind=folders needs one folder a class" in complaint(named)
    flat = files(train=str(folder / "train" / "pos"), kind="folders")
    assert f"{folder / 'train' / 'pos'} has no folders with files" in complaint(flat)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv.gz", "text,label\nfine,good\n"),
        ("a.jsonl.gz", '{"text": "fine", "label": "good"}'),
        ("a.JSON.gz", '[{"text": "fine", "label": "good"}]'),
    ],
)
def test_gzip_files_are_decompressed(tmp_path, name, text):
    (tmp_path / name).write_bytes(gzip.compress(text.encode()))
    data = files(train=str(tmp_path / name), validation_share=0)
    data.check()
    assert [row for row, _ in data.rows("train")] == [{"text": "fine", "label": "good"}]


def test_gzip_text_and_parallel_text(tmp_path):
    for name, text in (("a.txt.gz", "one\ntwo"), ("b.en.gz", "one\n"), ("b.de.gz", "eins\n")):
        (tmp_path / name).write_bytes(gzip.compress(text.encode("utf-16"), 1))
    texts = files(Stream(), folder=str(tmp_path), train="a.txt.gz", encoding="utf-16", validation_share=0)
    assert [row["text"] for row, _ in texts.rows("train")] == ["one\n", "two"]
    pairs = files(Pairs(), folder=str(tmp_path), train=["b.en.gz", "b.de.gz"], encoding="utf-16", validation_share=0)
    assert [row for row, _ in pairs.rows("train")] == [{"source": "one", "target": "eins"}]


@pytest.mark.parametrize("content", [b"text,label\n", gzip.compress(b"text,label\n" + b"fine,good\n" * 99, mtime=0)[:40]])
def test_damaged_gzip_files(tmp_path, content):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(content)
    assert f"{path}: not a whole gzip file" in complaint(files(train=str(path)))
