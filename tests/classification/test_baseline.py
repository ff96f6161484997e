"""Linear models of words against scikit-learn."""

import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as Reference
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from framework.registry import Part
from framework.tasks.base import BaselineData
from framework.tasks.resampled import figures_of
from plugins.classification import linear
from plugins.classification.baseline import PENALTY, LinearWords, Ridge, features
from plugins.classification.data import ClassificationFormat
from plugins.classification.label import LabelTarget
from plugins.classification.labels import LabelsTarget
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


@pytest.mark.parametrize("several", [False, True])
def test_scores_are_those_of_scikit_learn(several):
    texts = [features(text) for text, _ in ROWS]
    names = sorted({label for _, label in ROWS})
    numbers = torch.tensor([names.index(label) for _, label in ROWS])
    hot = torch.nn.functional.one_hot(numbers).float()
    score = LinearWords(
        texts,
        len(names),
        (lambda scores: binary_cross_entropy_with_logits(scores, hot, reduction="sum"))
        if several
        else (lambda scores: cross_entropy(scores, numbers, reduction="sum")),
    )
    count = TfidfVectorizer(analyzer=features, binary=True)
    x = count.fit_transform([text for text, _ in ROWS])
    ours = torch.stack([score(features(text)) for text in TEXTS]).numpy()
    if several:
        for column in range(len(names)):
            reference = LogisticRegression(C=1 / linear.PENALTY, tol=1e-8, max_iter=1000).fit(x, hot[:, column])
            assert ours[:, column] == pytest.approx(reference.decision_function(count.transform(TEXTS)), abs=2e-3)
    else:
        reference = LogisticRegression(C=1 / linear.PENALTY, tol=1e-8, max_iter=1000).fit(x, numbers)
        # a constant added to all scores of a text changes no probability
        expected = reference.decision_function(count.transform(TEXTS))
        assert ours - ours.mean(1, keepdims=True) == pytest.approx(expected - expected.mean(1, keepdims=True), abs=2e-3)


def test_of_equal_labels_the_first_in_the_alphabet_is_taken():
    predict = LabelTarget().baseline([({"a"}, "y"), ({"a"}, "x")])
    assert predict({"a"}) == predict(set()) == "x"


def test_rows_without_any_label_have_none():
    assert LabelsTarget().baseline([({"a"}, []), ({"b"}, [])])({"a"}) == []


def test_the_format_compares_with_it():
    rows = [{"text": text, "label": label} for text, label in ROWS]
    test = [{"text": "snow fell", "label": "cold"}, {"text": "a hot sun", "label": "warm"}, {"text": "snow", "label": "warm"}]
    task = make_task()
    predicted = task.baseline(BaselineData(iter(rows), iter(test)))[""]
    assert [row["reference"] for row in predicted] == ["cold", "warm", "warm"]
    assert figures_of(task, predicted) == pytest.approx({"accuracy": 2 / 3, "f1": 2 / 3, "mcc": 0.5})


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
    measured = figures_of(task, task.baseline(BaselineData(rows, rows))[""])
    assert {name: measured[name] for name in expected} == pytest.approx(expected)


def test_a_number_is_that_of_scikit_learns_ridge_regression():
    rows = [(features(text), number) for (text, _), number in zip(ROWS, (-3.0, -1.0, 30.0, 25.0, 12.0), strict=True)]
    count = CountVectorizer(analyzer=features, binary=True)
    reference = Reference(alpha=PENALTY).fit(count.fit_transform([text for text, _ in ROWS]), [number for _, number in rows])
    predict = Ridge(rows)
    assert [predict(features(text)) for text in TEXTS] == pytest.approx(list(reference.predict(count.transform(TEXTS))))
