"""Pairs as numbers: ends, the shift of the target, what happens to long texts."""

from random import Random

import pytest

from framework.data.spec import DataSpec
from framework.errors import UserError
from plugins.translation.data import TranslationFormat
from tests.letters import Letters

SPEC = DataSpec(vocab_size=300, max_length=5, padding=0, begin=1, end=2)


def encode(format: TranslationFormat | None = None, **row: str | None) -> dict[str, object]:
    return (format or TranslationFormat()).encode(row, Letters(), SPEC)


def test_both_texts_end_with_the_end_token() -> None:
    assert encode(source="abc", target="d") == {"@truncated": False, "source": [97, 98, 99, 2], "target": [100, 2]}
    assert encode(source="", target="") == {"@truncated": False, "source": [2], "target": [2]}


def test_a_text_to_translate_has_no_target() -> None:
    assert encode(source="a") == encode(source="a", target=None) == {"@truncated": False, "source": [97, 2]}


def test_long_texts_are_cut_and_counted() -> None:
    assert encode(source="abcdefg", target="x") == {"@truncated": True, "source": [97, 98, 99, 100, 2], "target": [120, 2]}
    assert encode(source="a", target="abcdefg")["target"] == [97, 98, 99, 100, 2]


def test_long_texts_are_refused_on_request() -> None:
    refusing = TranslationFormat(long="refuse")
    assert encode(refusing, source="abcd", target="abcd")["@truncated"] == 0
    with pytest.raises(ValueError, match="target has at least 5 tokens and must have at most 4 .model.max_length=5"):
        encode(refusing, source="a", target="abcde")


def test_a_text_must_be_able_to_end() -> None:
    with pytest.raises(UserError, match="needs a tokenizer with an end token"):
        TranslationFormat().encode({"source": "a"}, Letters(), DataSpec(vocab_size=300, max_length=5))


def test_the_decoder_reads_what_it_wrote() -> None:
    format = TranslationFormat()
    rows = [encode(source="abc", target="de"), encode(source="f", target="ghi")]
    batch = format.collate(rows, SPEC, Random(0))
    assert batch["source"].tolist() == [[97, 98, 99, 2], [102, 2, 0, 0]]
    assert batch["source_padding_mask"].tolist() == [[True] * 4, [True, True, False, False]]
    assert batch["target"].tolist() == [[1, 100, 101, 0], [1, 103, 104, 105]]
    assert batch["labels"].tolist() == [[100, 101, 2, -100], [103, 104, 105, 2]]
    assert [format.length(row) for row in rows] == [4, 4]


def test_sources_of_one_length_need_no_mask() -> None:
    batch = TranslationFormat().collate([encode(source="ab", target="c"), encode(source="de", target="fgh")], SPEC, Random(0))
    assert batch["source_padding_mask"] is None


def test_without_targets_the_decoder_begins() -> None:
    rows = [encode(source="ab"), encode(source="c")]
    batch = TranslationFormat().collate(rows, SPEC, Random(0))
    assert batch["target"].tolist() == [[1], [1]] and "labels" not in batch
    begins_with_padding = DataSpec(vocab_size=300, max_length=5, padding=7, end=2)
    assert TranslationFormat().collate(rows, begins_with_padding, Random(0))["target"].tolist() == [[7], [7]]


def test_the_tokenizer_learns_from_both_languages() -> None:
    assert list(TranslationFormat().tokenizer_texts({"source": "a", "target": "b"})) == ["a", "b"]


def test_a_model_that_starts_with_its_end_token_opens_every_text_with_the_begin_token():
    """BART: <s> text </s> on both sides, written after </s>."""
    spec = DataSpec(30, 6, padding=1, begin=0, end=2, start=2)
    form = TranslationFormat()
    features = [form.encode({"source": "ab", "target": "c"}, Letters(), spec), form.encode({"source": "abcdefgh"}, Letters(), spec)]
    assert [row["source"][0] for row in features] == [0, 0] and [row["source"][-1] for row in features] == [2, 2]
    assert len(features[0]["source"]) == 4 and len(features[1]["source"]) == 6 and features[1]["@truncated"]
    batch = form.collate(features[:1], spec, Random(0))
    assert batch["target"].tolist() == [[2, 0, *features[0]["target"][1:2]]] and batch["labels"].tolist() == [features[0]["target"]]
