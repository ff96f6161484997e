"""Scores of n-grams against TF-IDF and logistic regression of scikit-learn, and their part in a prediction."""

import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import cross_entropy

from plugins.classification import linear
from plugins.classification.ngrams import STRENGTH, NgramScores
from tests.classification.test_task import make_batch, make_task

TEXTS = [[1, 5, 6, 2], [1, 5, 7, 8, 2], [1, 9, 2], [1, 9, 6, 6, 2], [1, 7, 2]]
LABELS = torch.tensor([0, 0, 1, 1, 2])


def batch(texts, labels=None):
    ids = torch.zeros(len(texts), max(map(len, texts)), dtype=torch.int64)
    mask = torch.zeros_like(ids, dtype=torch.bool)
    for row, text in enumerate(texts):
        ids[row, : len(text)], mask[row, : len(text)] = torch.tensor(text), True
    return {"ids": ids, "padding_mask": mask, "label": labels}


def loss(scores, targets):
    return cross_entropy(scores, targets, reduction="sum")


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_linear_model_is_that_of_scikit_learn(order):
    ngrams = NgramScores(3, order, buckets=2**20)
    ngrams.fit([batch(TEXTS[:2], LABELS[:2]), batch(TEXTS[2:], LABELS[2:])], loss)
    vectorizer = TfidfVectorizer(
        analyzer=lambda text: [tuple(text[i : i + n]) for n in range(1, order + 1) for i in range(len(text) - n + 1)], binary=True
    )
    x = vectorizer.fit_transform(TEXTS)
    reference = LogisticRegression(C=1 / linear.PENALTY, tol=1e-8, max_iter=1000).fit(x, LABELS)
    tried = [*TEXTS, [1, 5, 5, 2], [1, 30, 2]]
    given = batch(tried)
    ours = ngrams.eval()(torch.zeros(len(tried), 3), given) / STRENGTH
    expected = torch.from_numpy(reference.decision_function(vectorizer.transform(tried)))
    assert torch.allclose(ours - ours.mean(1, keepdim=True), (expected - expected.mean(1, keepdim=True)).float(), atol=1e-2)


def test_padding_and_the_other_texts_of_a_batch_change_nothing():
    ngrams = NgramScores(3, 2)
    ngrams.fit([batch(TEXTS, LABELS)], loss)
    given = batch(TEXTS)
    together = ngrams.eval()(torch.ones(5, 3), given)
    for row, text in enumerate(TEXTS):
        assert torch.allclose(ngrams(torch.ones(1, 3), {"ids": torch.tensor([text])})[0], together[row], atol=1e-6)


def test_predictions_have_its_scores_and_training_has_not():
    task = make_task(ngrams=2)
    given = make_batch()
    alone = task(given).output.logits
    task.set_initial_weights([], [given])
    of_ngrams = task(given).output.logits - alone
    assert of_ngrams.detach().abs().max() > 0.1
    assert task(given).output.logits.argmax(1)[[0, 2]].tolist() == [2, 2]
    assert not list(task.ngrams.parameters())
    restored = make_task(ngrams=2)
    restored.load_state_dict(task.state_dict())
    assert torch.equal(restored(given).output.logits, task(given).output.logits)
    task.dropout.p = 0.0
    assert torch.equal(task.train()(given).output.logits, alone)
