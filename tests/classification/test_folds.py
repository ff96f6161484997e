"""Scores of training texts by models that have not seen them: against models fitted without their fold, saved and loaded."""

import pytest
import torch
from torch.nn.functional import mse_loss

from framework.data.spec import DataSpec
from framework.registry import Part
from plugins.classification.data import ClassificationFormat
from plugins.classification.folds import FOLDS, fold_of
from plugins.classification.ngrams import NgramScores
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
    folds = fold_of(batch)
    assert len(folds.unique()) == FOLDS
    changed = targets.clone()
    changed[folds == 2] += 100.0  # of what its own fold says, a model of the others knows nothing
    after = fitted(texts, changed, special).train()(torch.zeros(len(texts), 1), batch)
    assert torch.allclose(after[folds == 2], before[folds == 2], atol=1e-3)
    assert (after[folds != 2] - before[folds != 2]).abs().mean() > 1.0


def test_a_text_has_a_fold_whatever_its_padding():
    texts = texts_of(7, count=500)
    folds = fold_of(batch_of(texts, room=3))
    assert torch.equal(folds, fold_of(batch_of(texts)))
    assert torch.bincount(folds, minlength=FOLDS).min() > 60
    assert folds[3] == fold_of(batch_of(texts[3:4]))[0] == fold_of({"ids": batch_of(texts[3:4])["ids"]})[0]
    assert not torch.equal(folds, fold_of(batch_of([(other, one) for one, other in texts], room=3)))


def test_a_saved_model_trains_and_predicts_the_same():
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
    assert torch.allclose(trained - alone, task.ngrams.scores(batch, held_out=True), atol=1e-6)
    assert not torch.allclose(trained - alone, task.ngrams.scores(batch), atol=1e-2)
