"""Rows that several processes encode: the same files and the same errors as by one."""

import os
import sys

import pytest

from framework.data import encoding
from framework.data.encoding_processes import CHARACTERS, Encoders, chunks_of, processes_to_use
from framework.data.spec import DataSpec
from framework.data.tokenization.trainers import BytesTokenizer, WordpieceTokenizer
from framework.errors import UserError
from tests.data.toy import Labeled, files

BYTES = BytesTokenizer().train(list)
PARENT = os.getpid()
forked = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")


class Everything(Labeled):
    """Features whose type is decided by a late row, nestings that an empty list leaves open, counts, and dropped rows."""

    def encode(self, row, tokenizer, spec):
        number = int(row["text"].split()[0])
        if number % 7 == 3:
            return None
        return {
            "ids": tokenizer.encode(row["text"]),
            "wide": [number, 1 << 40] if number == 25 else [number],
            "float": 0.5 if number > 20 else number,
            "spans": [] if number < 9 else [[number], []],
            "late": [] if number < 13 else [number],
            "never": [],
            "known": [number > 4],
            "@counts": {"even": number % 2 == 0},
            "@truncated": number == 17,
        }

    def row_labels(self, row):
        return [row["label"]]


class Dies(Everything):
    """Ends any other process that encodes the row 14."""

    def encode(self, row, tokenizer, spec):
        if row["text"].startswith("14 ") and os.getpid() != PARENT:
            os._exit(9)
        return super().encode(row, tokenizer, spec)


class Mixes(Labeled):
    """Features of one row are unlike those of the rows before; row 22 cannot be encoded at all."""

    def encode(self, row, tokenizer, spec):
        number = int(row["text"].split()[0])
        if number == 22:
            raise ValueError("twenty-two")
        return {"ids": tokenizer.encode(row["text"]), "more": [[1]] if number == 19 else [1]}


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "a.csv"
    texts = (f"{number} é{'中' if number == 26 else ''},{'good' if number % 3 else 'bad'}" for number in range(30))
    path.write_text("\n".join(["text,label", *texts]), encoding="utf-8")
    return path


@pytest.fixture
def encoded(table, tmp_path, monkeypatch):
    """Encodes the table by a number of processes, a few rows at a time, and returns the content of the files."""

    def run(format, processes, split="train", tokenizer=BYTES):
        monkeypatch.setattr(encoding, "CHUNK", 4)
        monkeypatch.setattr(encoding, "ALONE", 1)
        monkeypatch.setattr(encoding, "processes_to_use", lambda: processes)
        monkeypatch.setenv("PLUGFORMER_CACHE", str(tmp_path / f"cache {processes} {split}"))
        source = files(format, train=str(table), test=str(table), validation_share=0)
        spec = DataSpec(261, 6, unknown=tokenizer.special_ids["unknown"], labels=("bad", "good"))
        data = encoding.encode(source, split, format, tokenizer, spec)
        assert not list(data.folder.glob("rows-*"))
        return {path.relative_to(data.folder).as_posix(): path.read_bytes() for path in data.folder.rglob("*") if path.is_file()}

    return run


@forked
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("format", [Labeled, Everything, Dies])
def test_the_files_are_the_same(encoded, format, split):
    alone = encoded(format(), 1, split)
    assert (b'"dtype": "float64"' in alone["description.json"]) == (format is not Labeled)
    for processes in (2, 3):
        assert encoded(format(), processes, split) == alone


@forked
def test_unknown_tokens_are_counted_alike(encoded):
    tokenizer = WordpieceTokenizer(vocab_size=60).train(lambda: (f"{number} e" for number in range(30)))
    alone = encoded(Everything(), 1, tokenizer=tokenizer)
    assert b"characters are in unknown tokens" in alone["description.json"]
    assert encoded(Everything(), 2, tokenizer=tokenizer) == alone


@forked
def test_the_error_is_that_of_the_first_row(encoded, table):
    messages = set()
    for processes in (1, 2):
        with pytest.raises(UserError, match=r"a\.csv, line 21: the feature 'more' is a list of lists") as error:
            encoded(Mixes(), processes)
        messages.add(str(error.value))
    assert len(messages) == 1
    wrong = "\n23 x,good,more than there are columns\n"
    table.write_text(table.read_text(encoding="utf-8").replace("19 ", "20 ") + wrong, encoding="utf-8")
    for processes in (1, 2):
        with pytest.raises(UserError, match=r"a\.csv, line 24: twenty-two"):  # before the row that cannot be read
            encoded(Mixes(), processes)


@forked
def test_rows_that_cannot_be_sent_are_left_to_this_process(tmp_path):
    chunks = [[({"text": 1}, "a")], [({"text": lambda: 2}, "b")], [({"text": 3}, "c")]]
    with Encoders(lambda chunk, folder: chunk[0][0]["text"], 2, tmp_path) as encoders:
        assert [result for _, _, result in encoders(chunks)] == [1, None, 3]
    assert all(not process.is_alive() for process, _ in encoders.started)
    assert list(tmp_path.iterdir()) == []


def test_chunks_before_an_error_come_first():
    def rows():
        yield from (({"text": number}, "") for number in range(5))
        raise UserError("no sixth row")

    chunks = chunks_of(rows(), 2)
    assert [len(next(chunks)) for _ in range(3)] == [2, 2, 1]
    with pytest.raises(UserError, match="sixth"):
        next(chunks)
    assert [len(chunk) for chunk in chunks_of([({"text": "x" * CHARACTERS}, "")] * 3, 2)] == [1, 1, 1]
    assert [len(chunk) for chunk in chunks_of([({}, "")] * 4, 2)] == [2, 2]


def test_processes_are_at_least_one():
    assert processes_to_use() >= 1
