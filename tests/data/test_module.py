"""Data preparation: its order, its cache, and no torch before the first batch."""

import subprocess
import sys
from pathlib import Path

import pytest

from framework.data.module import prepare
from framework.data.sources.builtin import BuiltinData
from framework.data.spec import DataSpec
from framework.data.tokenization import trainers as tokenizers
from framework.data.tokenization.pretrained import PretrainedTokenizer
from framework.data.tokenization.tokenizer import Tokenizer
from framework.data.tokenization.trainers import BytesTokenizer, WordpieceTokenizer
from framework.registry import Part
from tests.data.toy import Labeled, files


def builtin(seed=0, **values):
    return BuiltinData(Labeled(), seed, batches=Part("batches/rows", rows=8), **values)


def prepared(source=None, tokenizer=None, **values):
    return prepare(source or builtin(), tokenizer or WordpieceTokenizer(80), Labeled(), max_length=16, **values)


def test_the_data_spec_has_the_tokenizer_and_the_statistics():
    data = prepared()
    assert data.spec == DataSpec(
        vocab_size=data.tokenizer.vocab_size,
        max_length=16,
        padding=0,
        begin=1,
        end=2,
        unknown=3,
        mask=4,
        labels=("high", "low"),
        statistics={"rows": "counted"},
    )
    assert data.splits == ("train", "validation", "test")
    assert data.sizes["train"] == {
        "rows": 40,
        "tokens": int(data.encoded["train"].lengths.sum()),
        "unknown": 0,
        "dropped": 0,
        "truncated": 0,
    }
    assert list(data.rows("test")) == list(Labeled().builtin("test", 0))


def test_the_second_time_everything_comes_from_the_cache(monkeypatch):
    first = prepared()

    def never(*_):
        raise AssertionError("this was made before")

    monkeypatch.setattr(WordpieceTokenizer, "train", never)
    monkeypatch.setattr(Labeled, "fit", never)
    monkeypatch.setattr(Labeled, "encode", never)
    second = prepared()
    assert second.spec == first.spec
    assert second.tokenizer.to_json() == first.tokenizer.to_json()
    assert {split: data.folder for split, data in second.encoded.items()} == {split: data.folder for split, data in first.encoded.items()}


@pytest.mark.parametrize("other", [{"tokenizer": WordpieceTokenizer(90)}, {"source": builtin(seed=1)}, {"source": builtin(limit=20)}])
def test_other_texts_or_settings_train_another_tokenizer(monkeypatch, other):
    prepared()
    trained = []
    train = WordpieceTokenizer.train
    monkeypatch.setattr(WordpieceTokenizer, "train", lambda self, texts: trained.append(1) or train(self, texts))
    prepared(**other)
    assert trained == [1]


def test_how_batches_are_formed_makes_nothing_again():
    source = BuiltinData(Labeled(), 0, batches=Part("batches/buckets"))
    assert prepared(source).encoded["train"].folder == prepared().encoded["train"].folder


def test_a_run_folder_gives_tokenizer_and_data_spec(tmp_path):
    data = prepared()
    data.tokenizer.save(tmp_path / "tokenizer.json")
    data.spec.save(tmp_path / "data_spec.json")
    table = tmp_path / "new.csv"
    table.write_text("text,label\nlow low,low\n")
    again = prepared(files(test=str(table)), folder=tmp_path)
    assert again.spec == data.spec
    assert again.splits == ("test",)
    assert again.encoded["test"][0] == {"ids": data.tokenizer.encode("low low"), "label": 1}


def test_only_the_splits_that_are_wanted():
    assert prepared(splits=["test"]).splits == ("test",)


def test_a_tokenizer_without_padding_gets_along(tmp_path):
    inner = tokenizers.tokenizers.Tokenizer(tokenizers.models.WordLevel({"high": 0, "low": 1, "<|endoftext|>": 2}, unk_token="low"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    Tokenizer(inner).save(tmp_path / "tokenizer.json")
    spec = prepared(tokenizer=PretrainedTokenizer(str(tmp_path))).spec
    assert (spec.padding, spec.begin, spec.end, spec.unknown, spec.mask, spec.vocab_size) == (0, 2, 2, None, None, 3)


def test_bytes_read_no_text_to_be_trained(monkeypatch):
    monkeypatch.setattr(Labeled, "tokenizer_texts", lambda self, row: pytest.fail("nothing is to be learned"))
    assert prepared(tokenizer=BytesTokenizer()).spec.vocab_size == 261


def test_data_is_prepared_without_torch(tmp_path):
    """Errors in rows are reported before torch is imported."""
    (tmp_path / "a.txt").write_text("a line\n" * 50)
    code = f"""
import sys
from framework.data import batches
from framework.data.formats import Format
from framework.data.module import prepare
from framework.data.sources.files import FilesData
from framework.data.tokenization.trainers import BPETokenizer
from framework.registry import Part

class Plain(Format):
    columns = ("text",)
    def tokenizer_texts(self, row): return [row["text"]]
    def encode(self, row, tokenizer, spec): return {{"ids": tokenizer.encode(row["text"])}}

source = FilesData(Plain(), 0, train={str(tmp_path / "a.txt")!r}, batches=Part("batches/buckets"))
data = prepare(source, BPETokenizer(300), Plain(), 64)
print(data.sizes["train"]["rows"], "torch" in sys.modules)
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["48", "False"]


def test_two_processes_that_start_together_prepare_once(tmp_path, own_cache):
    log = tmp_path / "log"
    code = f"""
from framework.data.sources.builtin import BuiltinData
from framework.data import batches
from framework.data.module import prepare
from framework.data.tokenization.trainers import UnigramTokenizer
from framework.registry import Part
from tests.data.toy import Labeled

class Slow(Labeled):
    def encode(self, row, tokenizer, spec):
        open({str(log)!r}, "a").write("row\\n")
        return super().encode(row, tokenizer, spec)

data = prepare(BuiltinData(Slow(), 0, batches=Part("batches/rows")), UnigramTokenizer(300), Slow(), 16)
print(data.sizes, data.spec)
print([data.encoded["train"][row] for row in range(40)])
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) for _ in range(2)
    ]
    shown = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert shown[0] == shown[1] != ""
    assert log.read_text().count("row") == 3 * 40, "each row of three splits was encoded by one process alone"
