"""Spans of characters as words: which are exact, which are not, and how many of these a run accepts."""

import json

import pytest

from framework import compose, prepare_data
from framework.data.module import data_spec_of
from framework.data.tokenization.trainers import BPETokenizer, BytesTokenizer, WordpieceTokenizer
from framework.errors import UserError
from plugins.ner.data import NerFormat, NerSpansFormat
from plugins.ner.schemes import Entity
from plugins.ner.spans import Placed, place


def placed(text: str, *spans: tuple[int, int], pattern: str | None = None) -> Placed:
    row = {"text": text, "spans": [{"start": start, "end": end, "label": "x"} for start, end in spans]}
    result = NerSpansFormat(word_pattern=pattern).parse(row).placed
    assert result is not None
    return result


def ranges(result: Placed) -> list[tuple[int, int]]:
    return [(entity.start, entity.end) for entity in result.entities]


@pytest.mark.parametrize(
    ("text", "span", "expected", "inexact"),
    [
        ("他住在深圳。", (3, 5), (3, 5), 0),
        ("東京タワーに", (2, 5), (2, 5), 0),
        ("ไปกรุงเทพ", (2, 9), (2, 8), 0),
        ("वह दिल्ली में", (3, 9), (1, 2), 0),
        ("Anna's dog", (0, 4), (0, 1), 0),
        ("pre Yorkers", (4, 8), (1, 2), 1),
        ("서울에 가", (0, 2), (0, 1), 1),
        ("in  Rome ", (3, 9), (1, 2), 0),  # blanks at its ends
        ("a Rome\u200f", (2, 6), (1, 2), 0),
        ("cafe\u0301", (0, 4), (0, 1), 1),  # without its accent
    ],
)
def test_a_span_takes_all_words_that_it_overlaps(text, span, expected, inexact):
    assert placed(text, span) == Placed([Entity(*expected, "x")], inexact, 0)


def test_each_character_may_be_a_word():
    assert placed("서울에 가", (0, 2), pattern=r"\X") == Placed([Entity(0, 2, "x")], 0, 0)


def test_a_span_of_characters_that_are_in_no_word_is_inexact():
    assert placed("costs $5 now", (6, 8), pattern=r"\w+") == Placed([Entity(1, 2, "x")], 1, 0)


def test_of_spans_that_share_a_word_one_is_kept():
    assert placed("a b c", (0, 3), (2, 3)) == Placed([Entity(0, 2, "x")], 0, 1)  # the longest
    assert placed("ab cd", (0, 4), (0, 2)) == Placed([Entity(0, 1, "x")], 0, 1)  # the one of whole words
    assert placed("ab", (0, 2), (0, 2)) == Placed([Entity(0, 1, "x")], 0, 0)  # the same span twice
    assert placed("a  b", (1, 3), (0, 1)) == Placed([Entity(0, 1, "x")], 0, 1)  # blanks have no word


def test_spans_are_placed_as_by_looking_at_every_word():
    text, words = "aa bb, cc", [(0, 2), (3, 5), (5, 6), (7, 9)]
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            overlapped = [number for number, (begin, stop) in enumerate(words) if begin < end and start < stop]
            expected = [(overlapped[0], overlapped[-1] + 1)] if overlapped else []
            assert ranges(place([{"start": start, "end": end, "label": "x"}], text, words)) == expected


def prepared(folder, rows, *overrides, form="ner_spans"):
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    data = [f"task/format={form}", "data=files", f"data.train={folder / 'rows.jsonl'}", "data.validation_share=0", "tokenizer=bytes"]
    return prepare_data(compose(["task=ner", *data, *overrides]))


CHINESE = [
    {"text": f"{who}{verb}{where}。", "spans": [{"start": len(who + verb), "end": len(who + verb + where), "label": "LOC"}]}
    for who in ("韩梅", "李雷")
    for verb in ("住在", "离开")
    for where in ("深圳", "广州")
]
KOREAN = [{"text": f"{where}에 갑니다", "spans": [{"start": 0, "end": 2, "label": "LOC"}]} for where in ("서울", "부산", "대구")]


def test_spans_of_a_script_without_blanks_are_exact(tmp_path):
    data = prepared(tmp_path, CHINESE)
    assert data.remarks == [] and data.encoded["train"].counts == {"spans": 8, "inexact": 0, "lost": 0, "truncated": 0, "unknown": 0}
    tags = [data.encoded["train"][row]["tags"] for row in range(8)]
    assert tags == [[0] * 4 + [1, 2, 0]] * 8


def test_data_whose_spans_are_no_words_is_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"data.train: 3 of 3 spans .* rows.jsonl, line 1: 3 end inside a word.*task.format.word_pattern='\\X'"
    ):
        prepared(tmp_path, KOREAN)
    assert prepared(tmp_path, KOREAN, "task.format.word_pattern='\\X'").remarks == []
    (remark,) = prepared(tmp_path, KOREAN, "task.format.max_inexact=1").remarks
    assert remark.startswith("train: 3 of 3 spans are not whole words") and str(tmp_path) not in remark


def test_a_few_spans_that_are_no_words_are_counted(tmp_path):
    nested = {"text": "New York", "spans": [{"start": 0, "end": 8, "label": "LOC"}, {"start": 4, "end": 8, "label": "LOC"}]}
    rows = [*CHINESE * 4, KOREAN[0], nested]
    data = prepared(tmp_path, rows, "task.format.max_inexact=0.06")
    assert data.encoded["train"].counts == {"spans": 35, "inexact": 1, "lost": 1, "truncated": 0, "unknown": 0}
    (remark,) = data.remarks
    assert "2 of 35 spans" in remark and "1 end inside a word" in remark and "1 share a word" in remark and "line 33" in remark
    with pytest.raises(UserError, match="2 of 35 spans"):
        prepared(tmp_path, rows, "task.format.max_inexact=0.05")


TYPED = (
    "वह दिल्ली में है।",
    "cafe\u0301 Zoe\u0308",
    "他住在深圳。",
    "ไปกรุงเทพ น้ำ",
    "東京タワーに",
    "서울에 갑니다",
    "قَالَ، می\u200cخواهم",
    "שָׁלוֹם עולם",
    "👩\u200d👩\u200d👧👍🏽 ok",
    "iPhone手机2023年, ភាសា",
)


@pytest.mark.parametrize("text", TYPED)
@pytest.mark.parametrize("tokenizer", [BytesTokenizer(), WordpieceTokenizer(vocab_size=200), BPETokenizer(vocab_size=300)])
def test_a_typed_text_is_encoded_like_its_tokens_in_a_file(text, tokenizer):
    form, trained = NerFormat(), tokenizer.train(lambda: TYPED)
    spec = data_spec_of(trained, 128, {"labels": ["x"]})
    tokens = form.parse({"text": text}).tokens
    typed, read = (form.encode(row, trained, spec) for row in ({"text": text}, {"tokens": tokens}))
    assert typed is not None and read is not None and read["@counts"] == {"words": len(tokens), "resplit": 0}
    assert {**typed, "@counts": None} == {**read, "@counts": None} and typed["num_words"] == len(tokens)
    assert form.encode({"text": " ".join(tokens)}, trained, spec) == typed


HINDI = [{"tokens": ["वह", "दिल्ली", "बहुत"], "tags": ["O", "B-LOC", "O"]}]
SPLIT_OTHERWISE = [{"tokens": ["Anna's", "U.S.", "dog"], "tags": ["B-PER", "O", "O"]}]


def test_tokens_are_the_same_where_their_text_is_typed(tmp_path):
    form = NerFormat()
    assert form.parse({"text": "वह दिल्ली बहुत"}).tokens == HINDI[0]["tokens"]
    assert prepared(tmp_path, HINDI, form="ner").remarks == []


def test_tokens_that_a_typed_text_has_otherwise_are_counted(tmp_path):
    data = prepared(tmp_path, SPLIT_OTHERWISE, form="ner")
    assert data.encoded["train"].counts["resplit"] == 2
    (remark,) = data.remarks
    assert "2 of 3 tokens" in remark and r"task.format.word_pattern='\S+'" in remark
    assert prepared(tmp_path, SPLIT_OTHERWISE, "task.format.word_pattern='\\S+'", form="ner").remarks == []
