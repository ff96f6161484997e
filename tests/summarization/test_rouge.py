"""ROUGE of known texts, on any number of batches and ranks."""

import math
import warnings

import pytest
import torch
from rouge_score.rouge_scorer import RougeScorer

from framework.metrics.rouge import SCORES, Rouge

PREDICTIONS = ["The dog was running.", "the cat\nsat on the mat\nand slept", "a b a b", "line\n\n\nline", "naïve façade", "", "?!"]
REFERENCES = ["A dog runs.", "on the mat\nthe cat slept\nall day", "b a b a", "line\nline\n", "naive facade", "something", "?!"]
F1 = [  # counted by hand, with stems, in the order of SCORES
    (4 / 7, 0, 4 / 7, 4 / 7),
    (3 / 4, 3 / 7, 1 / 2, 3 / 4),
    (1, 2 / 3, 3 / 4, 3 / 4),
    (1, 1, 1, 1),
    (0, 0, 0, 0),
    (0, 0, 0, 0),
    (0, 0, 0, 0),
]


@pytest.mark.parametrize(("prediction", "reference", "expected"), list(zip(PREDICTIONS, REFERENCES, F1, strict=True)))
def test_a_text_scores_what_is_counted_by_hand(prediction: str, reference: str, expected: tuple[float, ...]) -> None:
    assert list(Rouge().score(prediction, reference).values()) == pytest.approx(expected, abs=1e-12)


def test_words_have_stems_or_not() -> None:
    texts = "The dog was running.", "A dog runs."
    assert [Rouge(stem=stem).score(*texts)["rouge1"] for stem in (True, False)] == [pytest.approx(4 / 7), pytest.approx(2 / 7)]


def test_the_best_of_several_references_for_each_score() -> None:
    scores = Rouge().score("a b c d", ["a b x", "d c b a"])
    assert list(scores.values()) == pytest.approx([1, 2 / 5, 4 / 7, 4 / 7], abs=1e-12)


def test_the_mean_over_several_references() -> None:
    rouge = Rouge(references="mean")
    one, other = (rouge.score("a dog runs", reference) for reference in ("a dog", "cats run"))
    assert rouge.score("a dog runs", ["a dog", "cats run"]) == {name: pytest.approx((one[name] + other[name]) / 2) for name in SCORES}


def test_sentences_end_at_lines_or_also_at_punctuation() -> None:
    prediction, reference = "It rains. The dog sleeps. Fine", "The dog sleeps. It rains."
    lines, punctuation = (Rouge(sentences=kind).score(prediction, reference) for kind in ("lines", "punctuation"))
    assert (lines["rougeLsum"], punctuation["rougeLsum"]) == (pytest.approx(6 / 11), pytest.approx(10 / 11))
    assert {**punctuation, "rougeLsum": 0} == {**lines, "rougeLsum": 0}


def test_the_figure_is_the_mean_over_texts() -> None:
    metric = Rouge()
    metric.update(PREDICTIONS, REFERENCES)
    means = [100 * math.fsum(column) / len(F1) for column in zip(*F1, strict=True)]
    assert [float(value) for value in metric.compute().values()] == pytest.approx(means, abs=1e-10)


def test_batches_and_ranks_make_no_difference() -> None:
    predictions, references = (texts * 13 for texts in (PREDICTIONS, REFERENCES))
    one = Rouge()
    one.update(predictions, references)
    left, right, empty = Rouge(), Rouge(), Rouge()
    for at in range(0, 50, 7):
        right.update(predictions[at : min(at + 7, 50)], references[at : min(at + 7, 50)])
    left.update(predictions[50:], references[50:])
    empty.update([], [])
    left.merge_state(right)
    left.merge_state(empty)
    assert {name: float(value) for name, value in left.compute().items()} == {name: float(value) for name, value in one.compute().items()}
    assert torch.cat(right.scores).dtype == torch.float64 == right.dtype  # also what a rank without texts sends


def test_no_text_has_no_figure() -> None:
    rouge = Rouge()
    rouge.update([], [])
    assert all(math.isnan(value) for value in rouge.compute().values())


def test_the_signature_says_how_it_was_measured() -> None:
    assert Rouge().signature == "F1|refs:best|stem:porter|sentences:lines|tok:rouge_score"
    assert Rouge("mean", stem=False, sentences="punctuation").signature == "F1|refs:mean|stem:no|sentences:punctuation|tok:rouge_score"


def test_pairs_only() -> None:
    with pytest.raises(AssertionError, match="2 predictions, 1 references"):
        Rouge().update(["a", "b"], ["a"])


RUSSIAN = ("Собака спит в доме", "Собака спит на улице")


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        (*RUSSIAN, (1 / 2, 1 / 3, 1 / 2)),
        ("दिल्ली बहुत अच्छा", "दिल्ली अच्छा", (4 / 5, 0, 4 / 5)),
        ("他住在深圳。", "他住在广州。", (3 / 5, 1 / 2, 3 / 5)),
        ("Größe zählt", "GRÖSSE zählt", (1 / 2, 0, 1 / 2)),
        ("the dogs ran", "the dog ran", (1, 1, 1)),  # English stems
    ],
)
def test_words_of_any_script(prediction: str, reference: str, expected: tuple[float, ...]) -> None:
    scores = Rouge(tokenize="unicode").score(prediction, reference)
    assert list(scores.values())[:3] == pytest.approx(expected, abs=1e-12)


def test_words_of_ascii_texts_are_those_of_rouge_score() -> None:
    theirs = RougeScorer(SCORES, use_stemmer=True)
    for prediction, reference in zip(PREDICTIONS[:4], REFERENCES[:4], strict=True):
        expected = {name: score.fmeasure for name, score in theirs.score(reference, prediction).items()}
        assert Rouge().score(prediction, reference) == Rouge(tokenize="unicode").score(prediction, reference) == expected


def test_texts_that_are_tokenized_are_split_at_blanks() -> None:
    assert Rouge(tokenize="whitespace", stem=False).score("c++ is it", "c++ is not")["rouge1"] == pytest.approx(2 / 3)
    assert Rouge(tokenize="whitespace").signature.endswith("tok:whitespace")


def test_letters_that_rouge_score_leaves_out_are_said() -> None:
    with pytest.warns(UserWarning, match="task.tokenize=unicode"):
        Rouge().update([RUSSIAN[0]], [[RUSSIAN[1]]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Rouge().update(["a naïve dog", "it"], ["a naïve dog", ["it", "!?"]])
        Rouge(tokenize="unicode").update([RUSSIAN[0]], [RUSSIAN[1]])


def test_sentences_end_at_the_marks_of_each_script() -> None:
    rouge = Rouge(tokenize="unicode", sentences="punctuation")
    for prediction, reference in (("下雨了。狗睡了。", "狗睡了。下雨了。"), ("यह है। वह है।", "वह है। यह है।"), ("نعم؟ لا.", "لا. نعم؟")):
        assert rouge.score(prediction, reference)["rougeLsum"] == 1
