"""Two texts as one: their order, what is cut, segments, and what is typed to predict."""

from itertools import product
from random import Random

import pytest
import torch

from framework import BatchRows
from framework.config.compose import compose
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.models.decoder_only import DecoderOnlyModel
from framework.models.encoder_only import EncoderOnlyModel
from framework.registry import Part, broken
from framework.tasks.base import BaselineData
from plugins.classification.pairs import PairsFormat, shortened
from plugins.classification.task import ClassificationTask
from tests.classification.test_format import Letters

SPEC = DataSpec(vocab_size=30, max_length=9, padding=0, begin=1, end=2, labels=("no", "yes"))


def encode(first, second, spec=SPEC, **options):
    return PairsFormat(**options).encode({"text": first, "second": second, "label": "yes"}, Letters(), spec)


def test_each_text_has_its_end():
    assert encode("ab", "cde") == {"ids": [1, 3, 4, 2, 5, 6, 7, 2], "second": 4, "@truncated": False, "label": 1}


def test_a_text_of_a_pair_may_be_empty():
    assert encode("", "c")["ids"] == [1, 2, 5, 2]
    assert encode("a", "")["ids"] == [1, 3, 2, 2]


def test_without_a_begin_token_there_is_more_room():
    spec = DataSpec(vocab_size=30, max_length=6, end=2, labels=("no", "yes"))
    assert encode("ab", "cd", spec) == {"ids": [3, 4, 2, 5, 6, 2], "second": 3, "@truncated": False, "label": 1}


def test_without_an_end_token_there_is_nothing_between():
    with pytest.raises(UserError, match="an end token between them"):
        encode("a", "b", DataSpec(vocab_size=30, max_length=6, labels=("no", "yes")))


def test_the_longer_text_gives_way_token_by_token():
    for first, second, room in product(range(8), range(8), range(7)):
        expected = [first, second]
        while sum(expected) > room:  # as BERT's create_pretraining_data.py: of equal texts the second
            expected[0 if expected[0] > expected[1] else 1] -= 1
        assert shortened(first, second, room) == tuple(expected)


def test_a_pair_that_is_cut_is_counted_or_refused():
    assert encode("abcdef", "gh") == {"ids": [1, 3, 4, 5, 6, 2, 9, 10, 2], "second": 6, "@truncated": True, "label": 1}
    assert encode("abcd", "gh", long="refuse")["@truncated"] == 0
    with pytest.raises(ValueError, match="6 and 2 tokens, the model takes 6"):
        encode("abcdef", "gh", long="refuse")


def test_both_texts_are_texts_and_the_tokenizer_learns_from_both():
    assert list(PairsFormat().tokenizer_texts({"text": "a", "second": "b", "label": "yes"})) == ["a", "b"]
    with pytest.raises(ValueError, match="'second' must be a text, and is 5 of type int"):
        encode("a", 5)


def make_batch():
    rows = [encode("ab", "cde"), encode("a", "b")]
    return PairsFormat().collate(rows, SPEC, Random(0))


def test_segments_say_which_text_a_token_is_of():
    batch = make_batch()
    assert batch["ids"].tolist() == [[1, 3, 4, 2, 5, 6, 7, 2], [1, 3, 2, 4, 2, 0, 0, 0]]
    assert batch["segments"].where(batch["padding_mask"], -1).tolist() == [[0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, -1, -1, -1]]


def make_task(model, **options):
    torch.manual_seed(0)
    tiny = Part(model, dim=16, num_heads=2, num_layers=1, max_length=9, initial_std=0.3, **options)
    return ClassificationTask(tiny, SPEC, PairsFormat(), pooling="last").double().eval()


@pytest.mark.parametrize(
    ("model", "segments"), [(EncoderOnlyModel, 2), (EncoderOnlyModel, 1), (EncoderOnlyModel, 0), (DecoderOnlyModel, None)]
)
def test_a_model_with_two_kinds_of_segments_is_told_and_any_other_reads_the_same(model, segments):
    task, batch = make_task(model, **({} if segments is None else {"segments": segments})), make_batch()
    assert torch.equal(task(batch).output.logits, task({**batch, "segments": 1 - batch["segments"]}).output.logits) == (segments != 2)
    task.train()
    task(batch).loss.backward()
    if segments == 2:
        assert task.model.embeddings.segments.weight.grad.abs().sum(dim=1).min() > 0


def test_two_texts_are_typed_and_shown_with_bars_between():
    assert PairsFormat().from_text("one | two ||| three ") == {"text": "one | two", "second": "three"}
    with pytest.raises(UserError, match='text="first |||'):
        PairsFormat().from_text("one, two")
    batch = make_batch() | {
        "@rows": BatchRows([0, 1], [{"text": "ab", "second": "cde", "label": "yes"}, {"text": "a", "second": "b", "label": "yes"}])
    }
    assert [row["input"] for row in make_task(EncoderOnlyModel).evaluate(batch, None)[1]] == ["ab ||| cde", "a ||| b"]


def test_the_baseline_knows_which_text_a_word_is_of():
    train = [("snow", "sun", "yes"), ("sun", "snow", "no")] * 3
    rows = [{"text": first, "second": second, "label": label} for first, second, label in train]
    predicted = make_task(EncoderOnlyModel).baseline(BaselineData(rows, rows))[""]
    assert [row["prediction"] for row in predicted] == [row["label"] for row in rows]


def test_built_in_pairs_have_one_label():
    for data, target, legal in (("builtin", "label", True), ("builtin", "number", False), ("files", "number", True)):
        assert (not broken(PairsFormat.rules, {"data_part": data, "target_part": target})) == legal


def test_no_probability_of_a_number_is_smoothed():
    for smoothing, target, legal in ((0.1, "labels", True), (0.1, "number", False), (0.0, "number", True)):
        assert (not broken(ClassificationTask.rules, {"label_smoothing": smoothing, "target_part": target})) == legal


def test_the_command_line_chooses_the_format_and_for_both_what_is_told():
    files = ["data=files", "data.train=a.csv", "data.columns.second=hypothesis"]
    task = compose(["task=classification", "task/format=pairs", "task.target.class_weights={yes: 2, no: 0.5}", *files]).config["task"]
    assert task["format"]["part"] == "format/pairs"
    assert (
        task["format"]["target"]
        == task["target"]
        == {
            "part": "target/label",
            "class_weights": {"yes": 2, "no": 0.5},
            "monitor": "accuracy",
        }
    )
    task = compose(["task=classification", "task/target=labels", "task.target.threshold=0.3"]).config["task"]
    assert task["format"]["target"] == task["target"] == {"part": "target/labels", "separator": ",", "threshold": 0.3}


def test_class_weights_are_balanced_or_numbers():
    with pytest.raises(UserError, match="class_weights: 'even' is not of type"):
        compose(["task=classification", "task.target.class_weights=even"])
