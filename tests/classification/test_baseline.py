"""Linear models of words against scikit-learn."""

from math import log

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as Reference
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from framework.registry import Part
from framework.tasks.base import BaselineData
from framework.tasks.resampled import figures_of
from plugins.classification import linear
from plugins.classification.baseline import LinearWords
from plugins.classification.data import ClassificationFormat
from plugins.classification.label import LabelTarget
from plugins.classification.labels import LabelsTarget
from plugins.classification.number import NumberTarget
from plugins.classification.words import PairWords, features
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
    numbers = [-3.0, -1.0, 30.0, 25.0, 12.0]
    count = TfidfVectorizer(analyzer=features, binary=True)
    reference = Reference(alpha=linear.STRONG_PENALTY / 2).fit(count.fit_transform([text for text, _ in ROWS]), numbers)
    predict = NumberTarget().baseline((features(text), number) for (text, _), number in zip(ROWS, numbers, strict=True))
    expected = list(reference.predict(count.transform(TEXTS)))
    assert [predict(features(text)) for text in TEXTS] == pytest.approx(expected, rel=1e-3, abs=1e-2)


def test_equal_numbers_are_predicted():
    assert NumberTarget().baseline([({"a"}, 2.0), ({"b"}, 2.0)])({"a"}) == pytest.approx(2.0)


def test_pairs_are_scored_by_their_words_and_overlaps_as_by_scikit_learn():
    texts = [(one, other) for one, _ in ROWS for other, _ in ROWS]
    pairs = [PairWords(*pair) for pair in texts]
    numbers = torch.tensor([(row // 5 + row % 5) % 3 for row in range(25)])
    score = LinearWords(pairs, 3, lambda scores: cross_entropy(scores, numbers, reduction="sum"))
    vectorizer = TfidfVectorizer(analyzer=set, binary=True)
    sparse = vectorizer.fit_transform(pairs).toarray()
    sides = TfidfVectorizer(analyzer=set, binary=True).fit([side for pair in pairs for side in pair.sides])
    unseen = log(51) + 1

    def rarity(word):
        return sides.idf_[sides.vocabulary_[word]] if word in sides.vocabulary_ else unseen

    dense = np.array([pair.overlaps(rarity) for pair in pairs])
    deviation = dense.std(axis=0)
    deviation[deviation < 1e-6] = 1.0

    def table(sparse, dense):
        return np.hstack([sparse, ((dense - np.mean(dense_of_training, axis=0)) / deviation).clip(-5, 5)])

    dense_of_training = dense
    reference = LogisticRegression(C=1 / linear.STRONG_PENALTY, tol=1e-8, max_iter=1000).fit(table(sparse, dense), numbers)
    new = [PairWords(one, other) for one in TEXTS for other in TEXTS]
    ours = torch.stack([score(pair) for pair in new]).numpy()
    expected = reference.decision_function(table(vectorizer.transform(new).toarray(), np.array([pair.overlaps(rarity) for pair in new])))
    assert ours - ours.mean(1, keepdims=True) == pytest.approx(expected - expected.mean(1, keepdims=True), abs=1e-2)
