"""Unknown tokens are counted for each split, and many of them get an answer."""

from pathlib import Path

import pytest

from framework.data.encoding import encode
from framework.data.module import Prepared, data_spec_of
from framework.data.sources.files import FilesData
from framework.data.tokenization.trainers import CharactersTokenizer
from framework.data.tokenization.unknown import READ, CountingTokenizer
from tests.data.toy import Labeled


@pytest.fixture
def tokenizer():
    return CharactersTokenizer(unseen="unknown").train(lambda: ["abc "])


def test_unknown_tokens_and_their_characters_are_counted(tokenizer):
    counting = CountingTokenizer(tokenizer, tokenizer.special_ids["unknown"])
    assert counting.encode("abx") == tokenizer.encode("abx")
    assert counting.encode_with_offsets("xyc") == tokenizer.encode_with_offsets("xyc")
    assert counting.decode([5, 6]) == tokenizer.decode([5, 6]) and counting.byte_lengths([5]) == tokenizer.byte_lengths([5])
    assert (counting.found.tokens, counting.found.lost, counting.found.characters, counting.found.example) == (3, 3, 6, "x")
    (remark,) = counting.remarks()
    assert "50.0%" in remark and "'x'" in remark and "tokenizer=unigram" in remark


def test_few_or_none_are_no_remark(tokenizer):
    counting = CountingTokenizer(tokenizer, tokenizer.special_ids["unknown"])
    counting.encode("abc" * 100)
    assert counting.remarks() == []
    counting.encode("x")
    assert counting.found.tokens == 1 and counting.remarks() == []
    without = CountingTokenizer(tokenizer, None)
    without.encode("xyz")
    assert (without.found.tokens, without.remarks()) == (0, [])


def test_a_long_text_is_counted_by_its_beginning(tokenizer):
    counting = CountingTokenizer(tokenizer, tokenizer.special_ids["unknown"])
    ids = counting.encode("x" * 10 * READ, at_least=8)
    assert len(ids) < 10 * READ and counting.found.tokens == len(ids) and counting.found.characters == counting.found.lost == READ


def test_the_counts_of_a_split_are_on_the_card(tokenizer, tmp_path: Path):
    (tmp_path / "rows.csv").write_text("text,label\nabc,low\nxyz,high\n")
    form = Labeled()
    source = FilesData(form, 0, train=str(tmp_path / "rows.csv"), validation_share=0.0)
    spec = data_spec_of(tokenizer, 8, {"labels": ["high", "low"]})
    data = Prepared(source, form, tokenizer, spec, {"train": encode(source, "train", form, tokenizer, spec)})
    assert data.sizes["train"]["unknown"] == 3
    (remark,) = data.remarks
    assert remark.startswith("train: 50.0% of the characters are in unknown tokens, such as 'x'")
