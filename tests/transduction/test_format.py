"""Inputs and outputs as numbers: given words, ends, and lengths that are refused."""

from random import Random

import pytest

from framework.data.spec import DataSpec
from framework.data.tokenization.trainers import CharactersTokenizer
from framework.data.tokenization.words import WordsTokenizer
from framework.errors import UserError
from plugins.transduction.data import TransductionFormat
from tests.letters import Letters

SPEC = DataSpec(vocab_size=300, max_length=10, padding=0, begin=1, end=2)


def encode(**row):
    return TransductionFormat().encode(row, Letters(), SPEC)


def test_both_end_with_the_end_token():
    assert encode(input="abc", output="d") == {"source": [97, 98, 99, 2], "target": [100, 2], "given": [False, False]}
    assert encode(input="a") == {"source": [97, 2]}


def test_given_words_are_read_and_are_no_targets():
    tokenizer = WordsTokenizer().train(lambda: ["k1 v1 k2 v2"])
    row = {"input": "k1 v1 k2 v2", "output": "k2 v2 k1 v1", "given": [0, 2]}
    features = TransductionFormat().encode(row, tokenizer, SPEC)
    assert features["given"] == [True, False, True, False, False]
    batch = TransductionFormat().collate([features, encode(input="a", output="bc")], SPEC, Random(0))
    k2, v2, _, v1, end = features["target"]
    assert batch["target"].tolist() == [[1, *features["target"][:-1]], [1, 98, 99, 0, 0]]
    assert batch["labels"].tolist() == [[-100, v2, -100, v1, end], [98, 99, 2, -100, -100]]
    assert batch["target_places"].tolist() == [1, 3, 4, 5, 6, 7] and batch["size"].tolist() == [5, 3]


def test_a_given_word_is_all_its_tokens():
    tokenizer = CharactersTokenizer().train(lambda: ["ab cd"])
    features = TransductionFormat().encode({"input": "a", "output": "ab cd", "given": [1]}, tokenizer, SPEC)
    assert features["given"] == [False] * 3 + [True, True, False]


@pytest.mark.parametrize("given", [[2], [-1], "0", [True], [0.0]])
def test_given_must_count_words(given):
    with pytest.raises(ValueError, match="given is .* numbers of the output's words, 0 to 1"):
        encode(input="a", output="b c", given=given)


def test_no_row_is_cut():
    assert len(encode(input="abcd", output="efgh")["source"]) == 5
    with pytest.raises(ValueError, match="11 tokens together.*takes 10.*model.max_length to 11"):
        encode(input="abcde", output="efgh")
    with pytest.raises(UserError, match="end token"):
        TransductionFormat().encode({"input": "a"}, Letters(), DataSpec(vocab_size=300, max_length=5))


def test_rows_are_batched_by_both_lengths():
    assert TransductionFormat().length(encode(input="abc", output="d")) == 6


@pytest.mark.parametrize("kind", ["", " ", "a/b", ["a"], {"a": 1}])
def test_a_kind_is_part_of_the_name_of_a_figure(kind):
    assert encode(input="a", output="b", kind="cp recursion") == encode(input="a", output="b", kind=3) == encode(input="a", output="b")
    with pytest.raises(ValueError, match="column 'kind'"):
        encode(input="a", output="b", kind=kind)
