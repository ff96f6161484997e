"""Naive Bayes and ridge regression against scikit-learn and against the formula written out."""

from math import log

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import Ridge as Reference
from sklearn.naive_bayes import MultinomialNB

from framework.registry import Part
from framework.tasks.base import BaselineData
from plugins.classification.baseline import PENALTY, NaiveBayes, Ridge, features
from plugins.classification.data import ClassificationFormat
from tests.classification.test_task import make_task

ROWS = [
    ("the snow fell and fell", "cold"),
    ("snow on the hill!", "cold"),
    ("a hot summer, a hot day", "warm"),
    ("the sun on the sand", "warm"),
    ("sun and wind", "mild"),
]
TEXTS = ["snow and sun", "the the the", "hot sand on the hill", "nothing of this", "wind", ""]


def test_a_feature_is_a_word_or_a_pair_and_counts_once():
    assert features("Don't go, go!") == {"don't", "go", ",", "!", "don't go", "go ,", ", go", "go !"}


def test_scores_are_those_of_scikit_learn():
    count = CountVectorizer(analyzer=features, binary=True)
    reference = MultinomialNB().fit(count.fit_transform([text for text, _ in ROWS]), [label for _, label in ROWS])
    expected = reference.predict_joint_log_proba(count.transform(TEXTS))
    classify = NaiveBayes((features(text), label) for text, label in ROWS)
    for text, scores in zip(TEXTS, expected, strict=True):
        assert [classify.score(features(text), label) for label in reference.classes_] == pytest.approx(scores)
    assert [classify(features(text)) for text in TEXTS] == list(reference.predict(count.transform(TEXTS)))


def test_a_score_is_the_formula():
    classify = NaiveBayes([(features("a b"), "x"), ({"a"}, "x"), ({"c"}, "y")])
    # x has a, b, "a b" of the four features (a in two texts); y has c alone.
    assert classify.score({"a"}, "x") == pytest.approx(log(2 / 3) + log((2 + 1) / (4 + 4)))
    assert classify.score(features("a c d"), "y") == pytest.approx(log(1 / 3) + log((0 + 1) / (1 + 4)) + log((1 + 1) / (1 + 4)))


def test_of_equal_labels_the_first_in_the_alphabet_is_taken():
    assert NaiveBayes([({"a"}, "y"), ({"a"}, "x")])({"a"}) == "x"


def test_the_format_compares_with_it():
    rows = [{"text": text, "label": label} for text, label in ROWS]
    test = [{"text": "snow fell", "label": "cold"}, {"text": "a hot sun", "label": "warm"}, {"text": "snow", "label": "warm"}]
    assert make_task().baseline(BaselineData(iter(rows), iter(test))) == pytest.approx({"accuracy": 2 / 3, "f1": 2 / 3})


@pytest.mark.parametrize(
    ("target", "values", "expected"),
    [
        ("label", ("cold", "warm", "mild"), {"accuracy": 1, "f1": 1}),
        ("labels", (["cold"], ["warm", "mild"], []), {"micro_f1": 1, "macro_f1": 1, "subset_accuracy": 1}),
        ("number", (1, 2, 4), {"spearman": 1}),
    ],
)
def test_one_process_measures_it_without_the_others(target, values, expected, monkeypatch):
    rows = [{"text": text, "label": value} for text, value in zip(("rain rain", "sun", "wind"), values, strict=True)]
    task = make_task(ClassificationFormat(target=Part(f"target/{target}")))
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)  # whoever now asked the others would get no answer
    measured = task.baseline(BaselineData(rows, rows))
    assert {name: measured[name] for name in expected} == pytest.approx(expected)


def test_a_number_is_that_of_scikit_learns_ridge_regression():
    rows = [(features(text), number) for (text, _), number in zip(ROWS, (-3.0, -1.0, 30.0, 25.0, 12.0), strict=True)]
    count = CountVectorizer(analyzer=features, binary=True)
    reference = Reference(alpha=PENALTY).fit(count.fit_transform([text for text, _ in ROWS]), [number for _, number in rows])
    predict = Ridge(rows)
    assert [predict(features(text)) for text in TEXTS] == pytest.approx(list(reference.predict(count.transform(TEXTS))))
