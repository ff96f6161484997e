"""Rows of named entity recognition as numbers: words, pieces, windows, spans of characters, and what a bad row is answered with."""

import re
from random import Random

import pytest
import torch

from framework.data.sources.files import FilesData
from framework.data.spec import DataSpec
from framework.data.tokenization.alignment import NO_WORD, best_windows, token_windows, tokenize_words
from framework.errors import UserError
from framework.registry import Part
from plugins.ner.data import NerFormat, NerSpansFormat
from plugins.ner.schemes import Entity

SPEC = DataSpec(30, 8, padding=0, begin=1, end=2, labels=("place", "who"))


class Pairs:
    """A tokenizer: a piece is two letters, or the one that is left; blanks are pieces with what follows; digits are dropped."""

    def encode_with_offsets(self, text):
        offsets = [match.span() for match in re.finditer(r" ?[^\d ]{1,2}| ", text)]
        return [3 + len(text[begin:end].strip()) for begin, end in offsets], offsets


def encode(row, spec=SPEC, form=NerFormat, **options):
    features = form(**{"overlap": 2, **options}).encode(row, Pairs(), spec)
    return features and {name: value for name, value in features.items() if name != "@counts"}


def collate(rows, spec=SPEC, **options):
    return NerFormat(**{"overlap": 2, **options}).collate([encode(row, spec, **options) for row in rows], spec, Random(0))


def test_no_piece_belongs_to_two_words():
    assert tokenize_words("abc de.f", [(0, 3), (4, 6), (6, 7), (7, 8)], Pairs()) == ([5, 4, 5, 4, 4], [0, 0, 1, 2, 3])


def test_what_stands_between_words_belongs_to_none():
    assert tokenize_words("ab -- cd !", [(0, 2), (6, 8)], Pairs())[1] == [0, NO_WORD, 1, NO_WORD]


def test_a_text_has_pieces_and_tags_by_the_word():
    row = {"tokens": ["Anna", "in", "New", "York"], "tags": ["B-who", "O", "B-place", "I-place"]}
    expected = {"ids": [5, 5, 5, 5, 4, 5, 5], "word_ids": [0, 0, 1, 2, 2, 3, 3], "num_words": 4, "tags": [3, 0, 1, 2]}
    assert encode(row) == expected
    assert encode({"tokens": row["tokens"]}) == {key: value for key, value in expected.items() if key != "tags"}


@pytest.mark.parametrize(("pieces", "mask"), [("first", "0101100"), ("last", "0011010"), ("all", "0111110")])
def test_the_pieces_that_speak_for_a_word(pieces, mask):
    batch = collate([{"tokens": ["abc", "de", "fgh"]}], pieces=pieces)
    assert batch["word_ids"].tolist() == [[3, 0, 0, 1, 2, 2, 3]]
    assert batch["word_mask"].int().tolist() == [[int(digit) for digit in mask]]


def test_a_word_without_a_piece_is_outside_and_cuts_the_entity():
    row = {"tokens": ["New", "7", "York"], "tags": ["B-place", "I-place", "I-place"]}
    assert encode(row)["tags"] == [1, 0, 1]
    assert collate([row])["word_ids"].tolist() == [[3, 0, 0, 3, 2, 2, 3]]  # the blank before the digit is a piece of no word


def test_a_text_of_words_without_any_piece_still_makes_a_batch():
    bare = DataSpec(30, 8, labels=SPEC.labels)
    batch = NerFormat(overlap=0).collate([{"ids": [], "word_ids": [], "num_words": 1}], bare, Random(0))
    assert batch["ids"].tolist() == [[0]] and not batch["word_mask"].any()


def test_padding_stands_on_the_right_and_belongs_to_no_word():
    batch = collate([{"tokens": ["ab"], "tags": ["O"]}, {"tokens": ["ab", "cd"], "tags": ["B-who", "O"]}])
    assert batch["ids"].tolist() == [[1, 5, 2, 0], [1, 5, 5, 2]]
    assert batch["padding_mask"].tolist() == [[True, True, True, False], [True] * 4]
    assert batch["word_ids"].tolist() == [[4, 0, 4, 4], [4, 2, 3, 4]]
    assert batch["tags"].tolist() == [[0, 0], [3, 0]] and batch["num_words"].tolist() == [1, 2]
    assert collate([{"tokens": ["ab"]}])["padding_mask"] is None


def test_windows_cover_all_and_share_what_was_asked():
    assert token_windows(6, 6, 2) == [(0, 6)]
    assert token_windows(10, 6, 2) == [(0, 6), (4, 10)]
    assert token_windows(11, 6, 2) == [(0, 6), (4, 10), (5, 11)]
    for pieces in range(1, 60):
        spans = token_windows(pieces, 7, 3)
        assert set().union(*(range(*span) for span in spans)) == set(range(pieces))
        assert all(stop - start <= 7 for start, stop in spans)
        assert all(before[1] - after[0] >= 3 for before, after in zip(spans, spans[1:], strict=False))


def test_a_word_is_at_home_where_it_has_most_context_on_both_sides():
    owners = [0, 1, 2, 3, 4, 5, 5, 6, 7, 8]
    assert best_windows(owners, [(0, 6), (4, 10)]) == {0: 0, 1: 0, 2: 0, 3: 0, 4: 0, 5: 1, 6: 1, 7: 1, 8: 1}
    assert best_windows([0, 0, 0, 0, 0], [(0, 3), (2, 5)]) == {0: 0}  # longer than a window


def test_a_long_text_is_read_in_windows_and_every_word_is_represented_once():
    tokens = ["ab", "cd", "ef", "gh", "ijk", "lm", "no", "pq", "rs"]
    batch = collate([{"tokens": tokens}, {"tokens": ["ab"]}], pieces="all")
    assert batch["ids"].shape == (3, 8)  # two windows of six pieces for ten, and the short text
    represented = batch["word_ids"][batch["word_mask"]].tolist()
    assert sorted(represented) == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9]
    assert batch["num_words"].tolist() == [9, 1]


@pytest.mark.parametrize("spec", [SPEC, DataSpec(30, 6, labels=SPEC.labels)], ids=["framed", "bare"])
@pytest.mark.parametrize("pieces", ["first", "last", "all"])
def test_the_pieces_of_windows_are_those_of_the_text(pieces, spec):
    """Also at the border of a window, where the neighbor of a piece is in the text alone."""
    texts = [["abcdefghij", "ab", "klmnopqr", "st", "uvwxyz", "abcd"], ["ab"], ["ab", "abcdefghijklmnopqrst", "uv", "wx"]]
    rows = [encode({"tokens": tokens}, spec, overlap=3) for tokens in texts]
    batch = NerFormat(overlap=3, pieces=pieces).collate(rows, spec, Random(0))
    most, before, expected = int(batch["num_words"].max()), int(spec.begin is not None), []
    for number, row in enumerate(rows):
        words = row["word_ids"]
        spans = token_windows(len(words), 6, 3)
        homes = best_windows(words, spans)
        for window, (start, stop) in enumerate(spans):
            for place in range(start, stop):
                word, neighbor = words[place], place + {"first": -1, "last": 1, "all": 0}[pieces]
                outermost = pieces == "all" or not 0 <= neighbor < len(words) or words[neighbor] != word
                if word != NO_WORD and outermost and homes[word] == window:
                    expected.append((len(expected), number * most + word, before + place - start))
    found = [(count, batch["word_ids"][at].item(), at[1]) for count, at in enumerate(map(tuple, batch["word_mask"].nonzero().tolist()))]
    assert found == expected and len(found) >= 9


def test_windows_that_do_not_go_on_are_refused():
    with pytest.raises(UserError, match=r"task.format.overlap=6 must be smaller than the 6 subwords of a window \(model.max_length=8\)"):
        encode({"tokens": ["ab"]}, overlap=6)
    with pytest.raises(UserError, match="overlap=-1"):
        Part("format/ner", overlap=-1)()


def test_the_model_may_learn_iobes():
    rows = [{"tokens": ["a", "b", "c"], "tags": ["I-x", "I-x", "B-x"]}]
    form = NerFormat(scheme="iobes", overlap=2)
    statistics = form.fit(rows)
    assert statistics == {"labels": ("x",)}
    assert form.encode(rows[0], Pairs(), DataSpec(30, 8, labels=statistics["labels"]))["tags"] == [1, 3, 4]


def test_what_was_typed_is_split_into_words_that_stay_where_they_were():
    form = NerFormat()
    read = form.parse(form.from_text("  Anna's at https://x.org/a-b, @tom  "))
    assert read.tokens == ["Anna", "'", "s", "at", "https://x.org/a-b,", "@tom"]
    assert read.span(Entity(0, 3, "who")) == {"text": "Anna's", "start": 2, "end": 8, "type": "who"}
    assert NerFormat(word_pattern=r"\S+").parse({"text": "Anna's at"}).tokens == ["Anna's", "at"]


def test_what_was_typed_looks_like_tokens_to_a_model_that_learned_from_tokens():
    assert encode({"text": "Anna,left!"}) == encode({"tokens": ["Anna", ",", "left", "!"]})


def test_the_tokenizer_is_trained_on_the_parts_that_it_encodes():
    assert NerFormat().tokenizer_texts({"text": "a, b "}) == ["a", " ,", " b"]
    assert NerSpansFormat().tokenizer_texts({"text": "a, b "}) == ["a", ",", " b", " "]


@pytest.mark.parametrize("form", [NerFormat, NerSpansFormat])
def test_a_text_without_a_word_is_dropped(form):
    assert encode({"text": " \n"}, form=form) is None


def test_spans_of_characters_become_tags():
    row = {
        "text": "Anna left New York-born Bo.",
        "spans": [{"start": 10, "end": 18, "label": "place"}, {"start": 0, "end": 4, "label": "who"}],
    }
    assert NerSpansFormat().parse(row).entities == [Entity(0, 1, "who"), Entity(2, 4, "place")]
    assert encode(row, form=NerSpansFormat)["tags"] == [3, 0, 1, 2, 0, 0, 0, 0]
    assert encode({"text": "Anna"}, form=NerSpansFormat)["num_words"] == 1


def test_a_span_takes_the_whole_of_a_word_it_ends_in():
    assert NerSpansFormat().parse({"text": "pre Yorkers", "spans": [{"start": 4, "end": 8, "label": "x"}]}).entities == [Entity(1, 2, "x")]


def span(start, end, label="who"):
    return {"text": "Anna left", "spans": [{"start": start, "end": end, "label": label}]}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tokens": ["a"], "tags": ["O", "O"]}, "1 tokens and 2 tags"),
        ({"tokens": ["a"], "tags": ["person"]}, "'person' is no tag"),
        ({"tokens": ["a"], "tags": [3]}, "tags are written out"),
        ({"tokens": "a b", "tags": ["O"]}, "tokens is 'a b', of type str; it must be a list"),
        ({"tokens": [1], "tags": ["O"]}, "the token 1 is of type int"),
        ({"text": 3, "spans": []}, "must be a text, and is 3 of type int"),
        (span(0, 99), "0 <= start < end <= 9"),
        (span(4, 4), "0 <= start < end <= 9"),
        (span("0", 4), "0 <= start < end <= 9"),
        (span(True, 4), "0 <= start < end <= 9"),
        (span(0, 4, None), "is not like"),
        ({"text": "ab", "spans": ["ab"]}, "the span 'ab' is not like"),
        ({"text": "ab", "spans": "ab"}, "spans is 'ab'"),
    ],
)
def test_a_bad_row_is_told_what_is_wrong(row, message):
    with pytest.raises(ValueError, match=message):
        encode(row)


def test_training_rows_need_tags_and_an_entity():
    with pytest.raises(ValueError, match="the row has no tags"):
        NerFormat().fit([{"tokens": ["a"]}])
    with pytest.raises(ValueError, match="no training row has an entity"):
        NerFormat().fit([{"tokens": ["a"], "tags": ["O"]}])


def test_a_pattern_that_is_none_is_refused():
    with pytest.raises(UserError, match=r"task.format.word_pattern='\(' is not a regular expression"):
        NerFormat(word_pattern="(")


def test_batches_are_integers_and_booleans():
    batch = collate([{"tokens": ["ab"], "tags": ["O"]}])
    assert {name: value.dtype for name, value in batch.items() if value is not None} == {
        **dict.fromkeys(("ids", "word_ids", "num_words", "tags"), torch.int64),
        "word_mask": torch.bool,
    }


def test_the_best_windows_are_those_of_all_windows_compared():
    chance = Random(0)
    for _ in range(200):
        word_ids = [word for word in range(chance.randint(1, 30)) for _ in range(chance.choice([1, 1, 2, 9]))]
        word_ids = [chance.choice([word, word, word, NO_WORD]) for word in word_ids]
        size = chance.randint(2, 12)
        windows = token_windows(len(word_ids), size, chance.randrange(size))
        total = len(word_ids)

        def context(word, window, word_ids=word_ids, total=total):
            tokens = [place for place, each in enumerate(word_ids) if each == word]
            (first, last), (start, stop) = (tokens[0], tokens[-1] + 1), window
            inside = min(last, stop) - max(first, start)
            return inside, min(total if start == 0 else first - start, total if stop == total else stop - last)

        best = {
            word: max(range(len(windows)), key=lambda place, word=word, windows=windows: context(word, windows[place]))
            for word in dict.fromkeys(word_ids)
            if word != NO_WORD
        }
        assert best_windows(word_ids, windows) == best


def test_a_text_of_too_many_windows_is_refused_by_the_option():
    row = {"tokens": ["abcd"] * 20, "tags": ["O"] * 20}
    windows = len(collate([row])["ids"])
    assert len(encode(row, max_windows=windows)["ids"]) > SPEC.max_length
    with pytest.raises(ValueError, match=rf"{windows} windows of model.max_length=8; at most {windows - 1} .*task.format.max_windows"):
        encode(row, max_windows=windows - 1)


@pytest.mark.parametrize("token", ["", " "])
def test_a_token_without_characters_has_no_entity(token):
    row = {"tokens": ["a", token], "tags": ["O", "B-x"]}
    with pytest.raises(ValueError, match="token 1 is .* has the tag 'B-x'"):
        NerFormat().parse(row)
    assert NerFormat().parse(row | {"tags": ["B-x", "O"]}).entities == [(0, 1, "x")]


def test_blanks_around_a_tag_are_no_part_of_it():
    assert NerFormat().parse({"tokens": ["a", "b"], "tags": ["B-x ", " I-x"]}).entities == [(0, 2, "x")]


def test_a_type_that_the_training_rows_lack_is_no_target():
    row = {"tokens": ["a", "b", "c"], "tags": ["B-thing", "I-thing", "B-who"]}
    assert NerFormat().row_labels(row) == ["thing", "who"]
    assert encode(row)["tags"] == encode(row | {"tags": ["O", "O", "B-who"]})["tags"]


def test_tokens_have_whole_characters():
    with pytest.raises(ValueError, match=r"column 'tokens' has half a character \(U\+D800"):
        NerFormat().parse({"tokens": ["a", "\ud800"], "tags": ["O", "O"]})


@pytest.mark.parametrize("seed", range(4))
def test_a_split_keeps_every_type_in_training(tmp_path, seed):
    path = tmp_path / "train.conll"
    types = ["who"] * 40 + ["place"] * 20 + [f"rare{number}" for number in range(15)]
    path.write_text("".join(f"a O\nb B-{name}\nc I-{name}\n\n" for name in types))
    columns = {"tokens": 0, "tags": -1}
    source = FilesData(NerFormat(), seed, train=str(path), columns=columns, validation_share=0.2, batches=Part("batches/rows"))
    found = {split: [name for row, _ in source.rows(split) for name in NerFormat().row_labels(row)] for split in source.splits}
    assert {*found["train"]} == {*types} and sorted(found["train"] + found["validation"]) == sorted(types)
    assert [found["validation"].count(name) for name in ("who", "place")] == [10, 5]
