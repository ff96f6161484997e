"""Rows of classification as numbers: lengths, labels, padding, and what a bad row is answered with."""

from random import Random

import pytest
import torch

from framework.data.spec import DataSpec
from framework.registry import Part
from framework.tasks.cross_entropy import IGNORED
from plugins.classification.data import ClassificationFormat
from plugins.classification.label import LabelTarget
from plugins.classification.labels import LabelsTarget
from plugins.classification.number import NumberTarget

SPEC = DataSpec(vocab_size=30, max_length=6, padding=0, begin=1, end=2, labels=("cold", "warm"))


class Letters:
    """A tokenizer: one token a letter, a = 3."""

    def encode(self, text: str, at_least: int | None = None) -> list[int]:
        return [ord(letter) - ord("a") + 3 for letter in text]


def encode(text, label=None, spec=SPEC, **options):
    return ClassificationFormat(**options).encode({"text": text, "label": label}, Letters(), spec)


def test_a_text_stands_between_begin_and_end():
    assert encode("abc", "warm") == {"ids": [1, 3, 4, 5, 2], "@truncated": False, "label": 1}


def test_a_long_text_is_cut_to_the_length_of_the_model_and_still_ends():
    assert encode("abcdefg", "cold") == {"ids": [1, 3, 4, 5, 6, 2], "@truncated": True, "label": 0}


def test_a_text_that_just_fits_is_not_long():
    assert encode("abcd", long="refuse")["ids"] == [1, 3, 4, 5, 6, 2]
    with pytest.raises(ValueError, match="5 tokens, the model takes 4"):
        encode("abcde", long="refuse")


def test_without_begin_and_end_the_tokens_have_all_the_room():
    spec = DataSpec(vocab_size=30, max_length=3, labels=("cold", "warm"))
    assert encode("abcd", spec=spec)["ids"] == [3, 4, 5]
    with pytest.raises(ValueError, match="the text is empty"):
        encode("", spec=spec)


def test_an_empty_text_is_a_text_where_begin_and_end_frame_it():
    assert encode("")["ids"] == [1, 2]


def test_a_text_to_predict_needs_no_label():
    assert "label" not in encode("abc")
    assert "label" not in ClassificationFormat().encode({"text": "abc"}, Letters(), SPEC)


def test_labels_are_learned_sorted_and_as_names():
    rows = [{"text": "", "label": label} for label in ("warm", 1, "cold", "warm", "1")]
    assert ClassificationFormat().fit(rows) == {"labels": ("1", "cold", "warm")}


def test_a_label_that_the_training_rows_lack_is_no_target():
    assert encode("abc", "hot")["label"] == IGNORED
    several = ClassificationFormat(target=Part(LabelsTarget))
    assert several.encode({"text": "abc", "label": "hot,warm"}, Letters(), SPEC)["label"] == [SPEC.labels.index("warm")]


@pytest.mark.parametrize(
    ("target", "label", "labels"),
    [(LabelTarget, "hot", ["hot"]), (LabelsTarget, "hot,cold,hot", ["cold", "hot"]), (NumberTarget, 3, [])],
)
def test_the_labels_of_a_row(target, label, labels):
    assert list(ClassificationFormat(target=Part(target)).row_labels({"text": "abc", "label": label})) == labels


@pytest.mark.parametrize("label", [None, ""])
def test_a_training_row_without_a_label_is_refused(label):
    with pytest.raises(ValueError, match="no label"):
        ClassificationFormat().fit([{"text": "abc", "label": label}])


@pytest.mark.parametrize("labels", [(), ("warm",), ("warm", "warm")])
def test_one_label_is_nothing_to_learn(labels):
    with pytest.raises(ValueError, match="at least two labels"):
        ClassificationFormat().fit([{"text": "abc", "label": label} for label in labels])


def test_a_text_must_be_a_text():
    with pytest.raises(ValueError, match="'text' must be a text, and is 5 of type int"):
        encode(5)


def collate(*texts, labels=None):
    rows = [encode(text, label) for text, label in zip(texts, labels or [None] * len(texts), strict=True)]
    return ClassificationFormat().collate(rows, SPEC, Random(0))


def test_short_rows_are_padded_on_the_right():
    batch = collate("abc", "a", labels=("warm", "cold"))
    assert batch["ids"].tolist() == [[1, 3, 4, 5, 2], [1, 3, 2, 0, 0]]
    assert batch["padding_mask"].tolist() == [[True] * 5, [True, True, True, False, False]]
    assert batch["label"].tolist() == [1, 0]
    assert batch["ids"].dtype == batch["label"].dtype == torch.long


def test_rows_of_one_length_need_no_padding_mask():
    assert collate("ab", "cd")["padding_mask"] is None


def test_a_batch_to_predict_has_no_labels():
    assert set(collate("ab", "c")) == {"ids", "padding_mask"}


def test_labels_and_numbers_are_read_by_the_same_format():
    several = ClassificationFormat(target=Part(LabelsTarget))
    spec = DataSpec(vocab_size=30, max_length=6, begin=1, end=2, labels=("cold", "warm"))
    rows = [several.encode({"text": "a", "label": label}, Letters(), spec) for label in ("warm,cold", "")]
    assert several.collate(rows, spec, Random(0))["label"].tolist() == [[1, 1], [0, 0]]
    assert "label" not in several.encode({"text": "a"}, Letters(), spec)
    number = ClassificationFormat(target=Part(NumberTarget))
    spec = DataSpec(vocab_size=30, max_length=6, begin=1, end=2, statistics={"mean": 2.0, "deviation": 4.0})
    rows = [number.encode({"text": "a", "label": label}, Letters(), spec) for label in ("4", -2)]
    assert number.collate(rows, spec, Random(0))["label"].tolist() == [0.5, -1.0]
