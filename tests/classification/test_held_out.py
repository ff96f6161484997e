"""Scores of training texts by models that have not seen them: against models fitted without their fold, saved and loaded."""

import pytest
import torch
from torch.nn.functional import mse_loss

from framework.data.spec import DataSpec
from framework.registry import Part
from plugins.classification.data import ClassificationFormat
from plugins.classification.held_out import HeldOutScores, keys_of
from plugins.classification.ngrams import FOLDS, NgramScores
from plugins.classification.task import ClassificationTask
from tests.classification.test_overlaps import BEGIN, END, batch_of, loss, texts_of
from tests.classification.test_task import BagModel

NUMBERS = DataSpec(vocab_size=40, max_length=99, begin=BEGIN, end=END, statistics={"mean": 1.0, "deviation": 2.0})


def fitted(texts, targets, special=(BEGIN, END), **options):
    torch.manual_seed(0)
    model = NgramScores(1, 2, special, stacked=True, penalty=1.0, buckets=2**14, **options)
    model.fit([batch_of(texts, labels=targets)], loss)
    return model


@pytest.mark.parametrize("special", [None, (BEGIN, END)])
def test_no_text_is_scored_by_a_model_that_has_seen_it(special):
    texts = list({str(pair): pair for pair in texts_of(6, count=60)}.values())
    targets = torch.randn(len(texts), generator=torch.Generator().manual_seed(0))
    batch = batch_of(texts, labels=targets)
    before = fitted(texts, targets, special).train()(torch.zeros(len(texts), 1), batch)
    folds = (keys_of(batch) >> 8) % FOLDS
    assert len(folds.unique()) == FOLDS
    changed = targets.clone()
    changed[folds == 2] += 100.0  # of what its own fold says, a model of the others knows nothing
    after = fitted(texts, changed, special).train()(torch.zeros(len(texts), 1), batch)
    assert torch.allclose(after[folds == 2], before[folds == 2], atol=1e-3)
    assert (after[folds != 2] - before[folds != 2]).abs().mean() > 1.0


def test_texts_are_found_by_their_tokens_whatever_the_padding_and_others_have_no_scores():
    texts = texts_of(7, count=20)
    scores = HeldOutScores(2)
    assert scores(batch_of(texts)).tolist() == [[0.0, 0.0]] * 20
    keys = keys_of(batch_of(texts[:15]))
    scores.set(keys, torch.arange(30.0).view(15, 2))
    found = scores(batch_of(texts, room=3))
    assert torch.equal(found[:15].sort(dim=0).values, torch.arange(30.0).view(15, 2)) or len(keys.unique()) < 15
    for row, pair in enumerate(texts[15:], start=15):
        assert pair in texts[:15] or found[row].tolist() == [0.0, 0.0]
    order = keys_of(batch_of([([3, 4], [5]), ([4, 3], [5]), ([3], [4, 5]), ([3, 4], [5])]))
    assert len(order.unique()) == 3 and order[0] == order[3]


def test_a_saved_model_has_as_many_texts_as_it_was_trained_with():
    texts = texts_of(8, count=25)
    model = fitted(texts, torch.randn(25))
    other = NgramScores(1, 2, (BEGIN, END), stacked=True, buckets=2**14)
    other.load_state_dict(model.state_dict())
    for training in (True, False):
        args = torch.zeros(25, 1), batch_of(texts)
        assert torch.equal(model.train(training)(*args), other.train(training)(*args))
    assert model.train()(*args).abs().sum() > 0


def test_a_number_is_what_the_model_adds_to_the_linear_one():
    torch.manual_seed(0)
    task = ClassificationTask(Part(BagModel), NUMBERS, ClassificationFormat(target=Part("target/number")), ngrams=2)
    texts = texts_of(9, count=40)
    targets = torch.randn(40)
    batch = batch_of(texts, labels=targets)
    task.set_initial_weights([], [batch])
    alone = task.head(task.eval().outputs(batch).hidden)
    assert torch.allclose(task.outputs(batch).logits - alone, task.ngrams.scores(batch), atol=1e-6)
    assert mse_loss(task.ngrams.scores(batch)[:, 0], targets) < targets.var()
    task.dropout.p = 0.0
    trained = task.train().outputs(batch).logits
    assert torch.allclose(trained - alone, task.ngrams.held_out(batch), atol=1e-6)
    assert not torch.allclose(trained - alone, task.ngrams.scores(batch), atol=1e-2)
