"""The task: scores of words whatever the windows and the padding, legal tags, honest scores, rows that seqeval can read."""

import json
from random import Random

import pytest
import torch
from seqeval.metrics import f1_score
from torch import nn

from framework import BatchRows
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.models.decoder_only import DecoderOnlyModel
from framework.models.encoder_only import EncoderOnlyModel
from framework.registry import Part, broken
from plugins.ner.data import NerFormat
from plugins.ner.heads import CrfTagHead, SoftmaxTagHead
from plugins.ner.task import NerTask

NO_DECODE = None  # a tagger writes nothing
HEADS = [SoftmaxTagHead, CrfTagHead]


def make_spec(max_length=12):
    return DataSpec(40, max_length, begin=1, end=2, mask=3, labels=("place", "who"))


class Letters:
    """A tokenizer: one piece a letter; blanks and digits have none."""

    def encode_with_offsets(self, text):
        found = [(place, letter) for place, letter in enumerate(text) if letter.isalpha()]
        return [4 + ord(letter.lower()) - ord("a") for _, letter in found], [(place, place + 1) for place, _ in found]


class BagModel(nn.Module):
    """Tokens, each looked at alone: what a word gets then depends on no window."""

    def __init__(self, spec, dim=5):
        super().__init__()
        self.spec, self.dim = spec, dim
        self.embed = nn.Embedding(spec.vocab_size, dim)
        self.seen = []

    def forward(self, ids, padding_mask=None):
        self.seen.append(ids)
        return self.embed(ids)


ROWS = [
    {"tokens": ["Bo", "left", "Ulm", "am", "See"], "tags": ["B-who", "O", "B-place", "I-place", "I-place"]},
    {"tokens": ["Ulm"], "tags": ["B-place"]},
    {"tokens": ["in", "7", "Bonn"], "tags": ["O", "I-place", "I-place"]},
]


def make_task(spec=None, model=BagModel, format=None, **options):
    torch.manual_seed(0)
    return NerTask(Part(model), spec or make_spec(), format or NerFormat(overlap=2), **options).double().eval()


def make_batch(rows=ROWS, spec=None, **options):
    form, spec = NerFormat(**{"overlap": 2, **options}), spec or make_spec()
    features = [form.encode(row, Letters(), spec) for row in rows]
    return {**form.collate(features, spec, Random(0)), "@rows": BatchRows(list(range(len(rows))), rows)}


@pytest.mark.parametrize("pieces", ["first", "last", "all"])
def test_a_word_has_the_state_of_its_pieces(pieces):
    task, batch = make_task(dropout=0.0), make_batch(pieces=pieces)
    _, scores, padding_mask, aligned = task.words(batch)
    assert padding_mask.sum(dim=1).tolist() == [5, 1, 3] and (padding_mask & ~aligned).nonzero().tolist() == [[2, 1]]
    letters = [4 + ord(letter) - ord("a") for letter in "left"]
    chosen = {"first": letters[:1], "last": letters[-1:], "all": letters}[pieces]
    by_hand = task.head.scores(task.model.embed.weight[chosen].mean(dim=0))
    torch.testing.assert_close(scores[0, 1], by_hand)


def test_windows_and_company_change_nothing_where_context_does_not_count():
    task = make_task()
    whole = task.words(make_batch(spec=make_spec(max_length=40))).scores
    windows = make_batch(spec=make_spec(max_length=8))
    assert len(windows["ids"]) > len(ROWS)
    torch.testing.assert_close(task.words(windows).scores, whole)
    for number, row in enumerate(ROWS):
        alone = task.words(make_batch([row])).scores[0]
        torch.testing.assert_close(alone, whole[number, : len(alone)])


@pytest.mark.parametrize("head", HEADS)
def test_the_loss_is_summed_over_words_that_have_a_piece(head):
    task = make_task(head=Part(head))
    together = task(make_batch())
    assert together.weight.item() == 8
    apart = [task(make_batch([row])) for row in ROWS]
    torch.testing.assert_close(together.loss, sum(result.loss for result in apart))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("scheme", ["iob2", "iobes"])
def test_rows_can_be_read_by_seqeval_and_give_the_figures(head, scheme):
    task, batch = make_task(format=NerFormat(scheme=scheme, overlap=2), head=Part(head)), make_batch(scheme=scheme)
    result, rows = task.evaluate(batch, NO_DECODE)
    rows = json.loads(json.dumps(rows))
    assert result.loss.item() == task(batch).loss.item()
    assert [row["tokens"] for row in rows] == [row["tokens"] for row in ROWS]
    assert rows[2]["reference_tags"] == ["O", "B-place", "I-place"] and rows[2]["predicted_tags"][1] == "O"
    metrics = task.metrics()
    for row in rows:
        task.update(metrics, [row])
    theirs = f1_score(*([row[name] for row in rows] for name in ("reference_tags", "predicted_tags")), zero_division=0)
    assert float(metrics["entities"].compute()["f1"]) == pytest.approx(theirs, abs=1e-12)
    assert [row["predicted_tags"] for row in task.predict(batch, NO_DECODE)] == [row["predicted_tags"] for row in rows]


def test_entities_are_characters_of_what_was_typed_with_their_probability():
    task = make_task(make_spec(max_length=40))
    with torch.no_grad():  # every word begins a person, for all the model knows, with odds of e to one
        task.head.scores.weight.zero_()
        task.head.scores.bias.copy_(torch.tensor([0.0, -50.0, -50.0, 1.0, -50.0]))
    text = " Bo,  Ann "
    (row,) = task.predict(make_batch([{"text": text}], make_spec(max_length=40)), NO_DECODE)
    assert row["input"] == text and row["tokens"] == ["Bo", ",", "Ann"]
    assert row["predicted_tags"] == ["B-who", "O", "B-who"]  # the comma has no piece here
    assert (
        [text[found["start"] : found["end"]] for found in row["prediction"]]
        == [found["text"] for found in row["prediction"]]
        == ["Bo", "Ann"]
    )
    assert [found["score"] for found in row["prediction"]] == pytest.approx([torch.tensor(1.0).sigmoid().item()] * 2)
    assert "reference" not in row


def test_word_dropout_masks_whole_words_in_training_alone():
    task, batch = make_task(word_dropout=0.5), make_batch(spec=make_spec(max_length=8))
    task.words(batch)
    assert torch.equal(task.model.seen[-1], batch["ids"])
    task.train()
    for _ in range(20):
        task.words(batch)
        masked = task.model.seen[-1] == 3
        words = batch["word_ids"]
        assert not masked[words == 15].any()
        for word in range(15):
            assert len(set(masked[words == word].tolist())) <= 1
    assert not masked.all() and masked.any()
    with pytest.raises(UserError, match="word_dropout needs a tokenizer with a mask"):
        make_task(DataSpec(40, 12, labels=("x",)), word_dropout=0.1)


@pytest.mark.parametrize(
    ("provided", "legal"),
    [({"encoder"}, True), ({"decoder"}, False), ({"decoder", "whole_words"}, True), ({"encoder", "decoder", "cross"}, False)],
)
def test_which_models_can_tag(provided, legal):
    assert (not broken(NerTask.rules, {"dropout": 0.1, "word_dropout": 0.0, "provided": provided})) == legal


@pytest.mark.parametrize("options", [{"dropout": 1.0}, {"word_dropout": -0.1}])
def test_shares_are_shares(options):
    with pytest.raises(UserError, match=next(iter(options))):
        Part(NerTask, **options)(model=Part(BagModel), spec=make_spec(), format=NerFormat())


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(("model", "pieces"), [(EncoderOnlyModel, "first"), (DecoderOnlyModel, "last")])
def test_the_models_of_the_framework_tag_whatever_the_company_and_learn(model, pieces, head):
    torch.manual_seed(0)
    spec = make_spec(max_length=16)
    small = Part(model, dim=16, num_heads=2, num_layers=1, max_length=16, dropout=0.0)
    task = NerTask(small, spec, NerFormat(pieces=pieces), head=Part(head)).double()
    batch = make_batch(spec=spec, pieces=pieces)
    together = task.eval().words(batch).scores
    for number, row in enumerate(ROWS):
        alone = task.words(make_batch([row], spec, pieces=pieces)).scores[0]
        torch.testing.assert_close(together[number, : len(alone)], alone)
    optimizer = torch.optim.Adam(task.train().parameters(), 0.02)
    for _ in range(40):
        optimizer.zero_grad()
        task(batch).loss.backward()
        optimizer.step()
    assert all(parameter.grad is not None for parameter in task.parameters())
    rows = task.eval().evaluate(batch, NO_DECODE)[1]
    assert [row["predicted_tags"] for row in rows[:2]] == [row["reference_tags"] for row in rows[:2]]
    assert all(found["score"] > 0.5 for row in rows[:2] for found in row["prediction"])
