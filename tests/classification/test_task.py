"""The classification task: pooling, loss, padding and figures, against formulas written out and scikit-learn."""

import json
from math import log

import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef
from torch import nn

from framework import BatchRows
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.models.decoder_only import DecoderOnlyModel
from framework.models.encoder_only import EncoderOnlyModel
from framework.registry import Part, broken
from plugins.classification.data import ClassificationFormat
from plugins.classification.task import ClassificationTask, pool

SPEC = DataSpec(vocab_size=11, max_length=8, begin=1, end=2, labels=("cold", "mild", "warm"))
POOLINGS = ("first", "last", "mean", "max")
NO_DECODE = None  # a classifier writes nothing


class BagModel(nn.Module):
    """Tokens, each looked at alone: enough of a model to pool."""

    def __init__(self, spec: DataSpec, dim: int = 5):
        super().__init__()
        self.spec, self.dim = spec, dim
        self.embed = nn.Embedding(spec.vocab_size, dim)

    def forward(self, ids, padding_mask=None):
        return self.embed(ids)  # (B, T, D)


def make_task(format=None, **options):
    torch.manual_seed(0)
    return ClassificationTask(Part(BagModel), SPEC, format or ClassificationFormat(), **options).double().eval()


def make_batch(**changes):
    ids = torch.tensor([[1, 4, 5, 6, 2], [1, 7, 2, 0, 0], [1, 8, 9, 2, 0]])
    raw = [{"text": "a b c", "label": "warm"}, {"text": "d", "label": "cold"}, {"text": "e f", "label": "warm"}]
    return {"ids": ids, "padding_mask": ids != 0, "label": torch.tensor([2, 0, 2]), "@rows": BatchRows([0, 1, 2], raw), **changes}


def pooled_by_hand(states, length, how):
    """states: lists of numbers, one a token; the first `length` are tokens."""
    columns = list(zip(*states[:length], strict=True))
    return {
        "first": states[0],
        "last": states[length - 1],
        "mean": [sum(column) / length for column in columns],
        "max": [max(column) for column in columns],
    }[how]


@pytest.mark.parametrize("how", POOLINGS)
def test_pooling_is_over_tokens_alone(how):
    states = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    lengths = [5, 2, 4]
    padding_mask = torch.arange(5) < torch.tensor(lengths)[:, None]
    by_hand = [pooled_by_hand(row, length, how) for row, length in zip(states.tolist(), lengths, strict=True)]
    torch.testing.assert_close(pool(states, padding_mask, how), torch.tensor(by_hand, dtype=torch.double))


@pytest.mark.parametrize("how", POOLINGS)
def test_no_mask_means_that_all_are_tokens(how):
    states = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(pool(states, None, how), pool(states, torch.ones(2, 3, dtype=torch.bool), how))


@pytest.mark.parametrize("how", POOLINGS)
def test_padding_changes_nothing(how):
    task, batch = make_task(pooling=how), make_batch()
    longer = make_batch(ids=nn.functional.pad(batch["ids"], (0, 3)), padding_mask=nn.functional.pad(batch["padding_mask"], (0, 3)))
    alone = make_batch(ids=batch["ids"][1:2, :3], padding_mask=None, label=batch["label"][1:2])
    torch.testing.assert_close(task(batch).output.logits, task(longer).output.logits)
    torch.testing.assert_close(task(batch).output.logits[1:2], task(alone).output.logits)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_loss_is_the_sum_of_cross_entropies(smoothing):
    result = make_task(label_smoothing=smoothing)(make_batch())
    by_hand = 0.0
    for scores, label in zip(result.output.logits.softmax(dim=-1).tolist(), (2, 0, 2), strict=True):
        shares = [smoothing / 3 + (1 - smoothing) * (number == label) for number in range(3)]
        by_hand -= sum(share * log(score) for share, score in zip(shares, scores, strict=True))
    assert result.loss.item() == pytest.approx(by_hand)
    assert result.weight.item() == 3


def test_dropout_stands_before_the_head_and_only_in_training():
    task, batch = make_task(dropout=0.5), make_batch()
    assert torch.equal(task(batch).output.logits, task(batch).output.logits)
    task.train()
    assert not torch.equal(task(batch).output.logits, task(batch).output.logits)
    whole = make_task(dropout=0.0).train()
    assert torch.equal(whole(batch).output.logits, whole(batch).output.logits)


def test_a_step_reaches_every_parameter():
    task = make_task().train()
    task(make_batch()).loss.backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in task.parameters())
    assert task.head.weight.grad.abs().sum() > 0 and task.model.embed.weight.grad.abs().sum() > 0


def test_predictions_are_the_likeliest_labels_and_can_be_written_down():
    task, batch = make_task(), make_batch()
    rows = task.predict({"ids": batch["ids"], "padding_mask": batch["padding_mask"]}, NO_DECODE)
    for row, scores in zip(json.loads(json.dumps(rows)), task(batch).output.logits.float().softmax(dim=-1).tolist(), strict=True):
        assert row["scores"] == pytest.approx(dict(zip(SPEC.labels, scores, strict=True)))
        assert row["score"] == max(row["scores"].values()) == row["scores"][row["prediction"]]


def test_evaluation_keeps_what_the_figures_are_made_of():
    task, batch = make_task(), make_batch()
    result, rows = task.evaluate(batch, NO_DECODE)
    assert result.loss.item() == task(batch).loss.item()
    assert [(row["input"], row["reference"]) for row in rows] == [("a b c", "warm"), ("d", "cold"), ("e f", "warm")]
    assert [row["prediction"] for row in rows] == [row["prediction"] for row in task.predict(batch, NO_DECODE)]


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        ("cold mild warm warm", "cold warm warm mild"),
        ("warm warm warm", "cold mild warm"),
        ("cold cold", "cold warm"),
        ("cold warm cold warm", "cold icy hot hot"),
    ],
    ids=["all", "one predicted", "one missing", "labels that training lacks"],
)
def test_figures_are_those_of_scikit_learn(predicted, expected):
    task = make_task()
    metrics = task.metrics()
    pairs = list(zip(predicted.split(), expected.split(), strict=True))
    for pair in pairs:  # one row at a time: figures are of all rows, not means of batches
        task.update(metrics, [{"prediction": pair[0], "reference": pair[1]}])
    right, found = [pair[1] for pair in pairs], [pair[0] for pair in pairs]
    figures = {name: float(value) for name, value in metrics["labels"].compute().items()}
    macro = f1_score(right, found, average="macro", zero_division=0)
    joined = [label if label in SPEC.labels else "" for label in right]  # labels that training lacks count as one
    assert figures == pytest.approx({"accuracy": accuracy_score(right, found), "f1": macro, "mcc": matthews_corrcoef(joined, found)})


@pytest.mark.parametrize("options", [{"dropout": 1.0}, {"label_smoothing": -0.1}, {"label_smoothing": 1.0}])
def test_shares_are_shares(options):
    with pytest.raises(UserError, match=next(iter(options))):
        Part(ClassificationTask, **options)(model=Part(BagModel), spec=SPEC, format=ClassificationFormat())


@pytest.mark.parametrize(
    ("pooling", "provided", "legal"),
    [
        ("first", {"encoder"}, True),
        ("last", {"encoder"}, True),
        ("last", {"decoder"}, True),
        ("mean", {"decoder"}, True),
        ("first", {"decoder"}, False),
        ("mean", {"encoder", "decoder", "cross"}, False),
    ],
)
def test_which_models_can_classify(pooling, provided, legal):
    reasons = broken(ClassificationTask.rules, {"pooling": pooling, "label_smoothing": 0.0, "dropout": 0.1, "provided": provided})
    assert (not reasons) == legal


@pytest.mark.parametrize(
    ("model", "pooling"), [(EncoderOnlyModel, "first"), (EncoderOnlyModel, "mean"), (DecoderOnlyModel, "last"), (DecoderOnlyModel, "max")]
)
def test_the_models_of_the_framework_classify_whatever_the_padding(model, pooling):
    torch.manual_seed(0)
    tiny = Part(model, dim=16, num_heads=2, num_layers=2, max_length=8)
    task = ClassificationTask(tiny, SPEC, ClassificationFormat(), pooling=pooling).double().eval()
    batch = make_batch()
    together = task(batch).output.logits
    for row, length in enumerate((5, 3, 4)):
        alone = task(
            make_batch(ids=batch["ids"][row : row + 1, :length], padding_mask=None, label=batch["label"][row : row + 1])
        ).output.logits
        torch.testing.assert_close(together[row : row + 1], alone)
    task.train()
    task(batch).loss.backward()
    assert all(parameter.grad is not None for parameter in task.parameters() if parameter.requires_grad)
