"""Probabilities of n-grams against their formula, and their part in the loss, in generated texts and in exports."""

from collections import Counter

import pytest
import torch

from framework import target_places
from framework.errors import UserError
from framework.export import huggingface, onnx
from framework.export import torch as to_torch
from framework.registry import Part
from framework.runs.predictor import Predictor
from plugins.completion.data import CompletionFormat
from plugins.completion.ngrams import DISCOUNT, NgramLogits
from plugins.completion.task import CompletionTask
from tests.completion.test_task import SPEC, batch_of, decode
from tests.export.runs import make_run

V = 19
TEXTS = [[3, 4, 5, 3, 4, 6, 3, 4, 5, 2], [5, 3, 4, 5, 2], [7, 7, 7, 3, 2]]


def expected(context: tuple[int, ...], longest: int, left_out: int | None = None) -> list[float]:
    """The probabilities of all tokens after a context by absolute discounting, counted in TEXTS."""
    found = [1 / V] * V
    for length in range(min(longest - 1, len(context)) + 1):
        end = context[len(context) - length :]
        counts = Counter(
            text[place] for text in TEXTS for place in range(1, len(text)) if place >= length and tuple(text[place - length : place]) == end
        )
        if left_out is not None:
            counts[left_out] -= 1
            counts = +counts
        if total := counts.total():
            found = [(max(counts[z] - DISCOUNT, 0) + min(DISCOUNT, 1) * len(counts) * found[z]) / total for z in range(V)]
    return found


def counted(longest: int, buckets: int = 2**20) -> NgramLogits:
    ngrams = NgramLogits(V, longest, buckets).double()
    ngrams.count([batch_of(*TEXTS[:2]), batch_of(TEXTS[2])])
    return ngrams


@pytest.mark.parametrize("longest", [2, 3, 6])
@pytest.mark.parametrize("training", [False, True])
def test_the_probabilities_are_those_of_the_formula(longest, training):
    ngrams = counted(longest)
    texts = TEXTS if training else [*TEXTS, [4, 3, 8, 7, 7, 3]]
    for text in texts:
        ids, targets = torch.tensor([text[:-1]]), torch.tensor(text[1:])
        ours = ngrams.log_probabilities(ngrams.contexts(ids)[0], targets if training else None).exp()  # (T, V)
        assert torch.allclose(ours.sum(1), torch.ones(len(text) - 1, dtype=torch.float64))
        for place in range(1, len(text)):
            formula = expected(tuple(text[:place]), longest, text[place] if training else None)
            assert torch.allclose(ours[place - 1], torch.tensor(formula, dtype=torch.float64)), (text, place)


def test_a_small_table_drops_n_grams_and_stays_a_distribution():
    ngrams = counted(6, buckets=4)
    probabilities = ngrams.log_probabilities(ngrams.contexts(torch.tensor(TEXTS[:1]))[0]).exp()
    assert int((ngrams.table != 0).sum()) <= 4
    assert torch.allclose(probabilities.sum(1), torch.ones(len(TEXTS[0]), dtype=torch.float64))


def test_contexts_end_where_a_text_or_a_document_begins():
    ngrams = NgramLogits(V, 4, 16)
    alone = [ngrams.contexts(torch.tensor([text]))[0] for text in ([3, 4, 5], [5, 3])]
    packed = ngrams.contexts(torch.tensor([[3, 4, 5, 5, 3]]), documents=torch.tensor([[0, 0, 0, 1, 1]]))[0]
    assert torch.equal(packed, torch.cat(alone))
    padded = ngrams.contexts(torch.tensor([[0, 5, 3]]), padding_mask=torch.tensor([[False, True, True]]))[0, 1:]
    assert torch.equal(padded, alone[1])


@pytest.fixture
def task() -> CompletionTask:
    torch.manual_seed(0)
    model = Part("model/decoder_only", dim=16, num_heads=2, num_layers=2, max_length=12, dropout=0.0, initial_std=0.4)
    task = CompletionTask(model, SPEC, CompletionFormat(), ngrams=3, ngram_buckets=2**12).double()
    task.set_initial_weights([], [batch_of(*TEXTS)])
    return task


def test_a_token_is_left_out_of_its_own_probability_in_training_alone(task):
    batch = batch_of(*TEXTS)
    targets = batch["targets"][batch["targets"] >= 0]
    places = target_places(batch["targets"])
    contexts = task.ngrams.contexts(batch["ids"]).flatten(0, 1)[places]
    for training in (True, False):
        task.train(training)
        added = task(batch).output[0].logits - task.model.logits(task.model(batch["ids"])).flatten(0, 1)[places]
        assert torch.allclose(added, task.ngrams.log_probabilities(contexts, targets if training else None))


def test_generated_texts_are_those_of_the_loss(task):
    """Each token is the likeliest after all before it, also beside a longer prompt."""
    task.eval()
    rows = [[3, 4, 6, 3], [7, 7]]
    for prompt, (text,) in zip(rows, _continued(task, rows), strict=True):
        ids = list(prompt)
        for token in text.ids:
            logits = task.model.logits(task.model(torch.tensor([ids])))[:, -1]
            assert int(task.logits_with_ngrams(logits, torch.tensor([ids]), None).argmax()) == token
            ids.append(token)
    without = decode(max_new_tokens=5)(task.model, torch.tensor([rows[0]]))[0][0].ids
    assert without != _continued(task, rows)[0][0].ids  # n-grams decide something here


def _continued(task, rows):
    from framework.generation.engine import pad_left

    def process(logits, prefixes):
        return task.logits_with_ngrams(logits, *prefixes.ids())

    return decode(max_new_tokens=5)(task.model, *pad_left(rows, 0), logits_processor=process)


def test_a_checkpoint_has_the_counts(task):
    other = CompletionTask(
        Part("model/decoder_only", dim=16, num_heads=2, num_layers=2, max_length=12),
        SPEC,
        CompletionFormat(),
        ngrams=3,
        ngram_buckets=2**12,
    ).double()
    other.load_state_dict(task.state_dict())
    batch = batch_of(*TEXTS)
    assert torch.equal(other.eval()(batch).loss, task.eval()(batch).loss)


def test_no_export_leaves_the_n_grams_out(tmp_path):
    loaded = Predictor.load(make_run(tmp_path, "completion", "task.ngrams=3"))
    for number, write in enumerate((huggingface.write, onnx.write, to_torch.write)):
        with pytest.raises(UserError, match=r"task\.ngrams=0"):
            write(loaded, tmp_path / str(number))
