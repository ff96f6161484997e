"""The pointer to the source against its formula, in the loss and in generated texts; and the lexicon that it has in translation."""

import math
from collections import defaultdict

import numpy as np
import pytest
import torch

from framework.errors import UserError
from framework.generation.beam import Beam
from framework.runs.predictor import Predictor
from framework.tasks.pointer import FARTHEST, LEAST, OFFSETS
from plugins.translation.lexicon import TENSION, most_probable, translation_probabilities
from tests.export.runs import make_run
from tests.translation.test_task import PAIRS, SPEC, batch_of, decode, make


def expected(task, source: list[int], target: list[int], lexicon: int = 0) -> list[list[float]]:
    """Probabilities of every next token, of one pair alone, by loops over source tokens and their entries."""
    pointer, model = task.pointer, task.model
    encoded = model.encode(torch.tensor([source]))
    hidden = model.decode_whole(torch.tensor([[1, *target[:-1]]]), encoded)[0]  # (T, D)
    entries = [list(zip(pointer.tokens[lexicon, id].tolist(), pointer.weights[lexicon, id].tolist(), strict=True)) for id in source]
    found = []
    for place, state in enumerate(hidden):
        came = {-1: 1.0}  # source token -> how likely the last target token comes from it
        if place:
            came = {number: sum(share for token, share in own if token == target[place - 1]) for number, own in enumerate(entries)}
            came = {number: share / max(sum(came.values()), LEAST) for number, share in came.items()}
        scores = []
        for number, other in enumerate(encoded.hidden_states[0]):
            score = float(pointer.query(state) @ pointer.key(other)) / math.sqrt(len(state))
            score += float(pointer.distance[max(-FARTHEST, min(FARTHEST, number - place)) + FARTHEST])
            scores.append(score + sum(float(pointer.offset[index]) * came.get(number - away, 0.0) for index, away in enumerate(OFFSETS)))
        pointed = [LEAST] * SPEC.vocab_size
        for own, weight in zip(entries, torch.tensor(scores, dtype=torch.float64).softmax(0).tolist(), strict=True):
            for token, share in own:
                pointed[token] += weight * share
        logits = model.logits(state) + pointer.scale * torch.tensor(pointed, dtype=torch.float64).log()
        found.append(logits.softmax(-1).tolist())
    return found


@pytest.fixture(params=[{"copy": True}, {"lexicon": 3}], ids=["copy", "lexicon"])
def task(request):
    made = make(label_smoothing=0.0, **request.param)
    made.set_initial_weights((), [batch_of(*PAIRS[:2]), batch_of(PAIRS[2])])
    torch.nn.init.normal_(made.pointer.query.weight)
    torch.nn.init.normal_(made.pointer.offset)
    return made


@torch.no_grad()
def test_the_loss_is_that_of_the_product(task):
    result = task(batch_of(*PAIRS))
    rows = [row for pair in PAIRS for row in expected(task, *pair)]
    assert torch.allclose(result.output.logits.softmax(-1), torch.tensor(rows, dtype=torch.float64), atol=1e-9)
    targets = [token for _, target in PAIRS for token in target]
    assert float(result.loss) == pytest.approx(-sum(math.log(row[token]) for row, token in zip(rows, targets, strict=True)), abs=1e-6)


@torch.no_grad()
def test_in_training_a_row_has_the_lexicon_that_has_not_seen_it():
    task = make(label_smoothing=0.0, lexicon=3)
    task.set_initial_weights((), [batch_of(*PAIRS)])
    folds = [sum(source) % 2 for source, _ in PAIRS]
    assert set(folds) == {0, 1}
    for fold in (0, 1):
        entries, probability = translation_probabilities((pair for pair, own in zip(PAIRS, folds, strict=True) if own != fold), TENSION)
        tokens, shares = most_probable(entries, probability, SPEC.vocab_size, 3)
        assert np.array_equal(task.pointer.tokens[1 + fold], tokens) and np.allclose(task.pointer.weights[1 + fold], shares)
    rows = [row for pair, fold in zip(PAIRS, folds, strict=True) for row in expected(task, *pair, lexicon=1 + fold)]
    task.pointer.train()  # the model without its dropout
    found = task(batch_of(*PAIRS)).output.logits.softmax(-1)
    assert torch.allclose(found, torch.tensor(rows, dtype=torch.float64), atol=1e-9)


def test_the_loss_reaches_every_parameter(task):
    task.train()
    task(batch_of(*PAIRS)).loss.backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in task.parameters())


@torch.no_grad()
def test_generated_texts_are_those_of_the_loss(task):
    """Greedy decoding takes the likeliest token of the product each time, also beside longer sources."""
    for (source, _), row in zip(PAIRS, task.predict(batch_of(*PAIRS, targets=False), decode()), strict=True):
        ids: list[int] = []
        while len(ids) < 8:
            ids.append(int(torch.tensor(expected(task, source, [*ids, 2])[-1]).argmax()))
            if ids[-1] == SPEC.end:
                break
        assert row["prediction"] == " ".join(str(id) for id in ids if id != SPEC.end)


@torch.no_grad()
def test_beams_keep_their_sources(task):
    """The score of each text is the log-probability that the loss gives it."""
    searched = decode()
    searched.strategy = Beam(num_beams=3, max_new_tokens=5)
    sources = batch_of(*PAIRS, targets=False)
    encoded = task.model.encode(sources["source"], sources["source_padding_mask"])
    processor = task.logits_processor(sources["source"], encoded)
    found = searched(task.model, sources["target"], encoder_output=encoded, logits_processor=processor)
    for (source, _), texts in zip(PAIRS, found, strict=True):
        for text in texts:
            ids = text.ids if len(text.ids) == 5 else [*text.ids, SPEC.end]
            rows = expected(task, source, ids)
            assert text.score == pytest.approx(sum(math.log(row[id]) for row, id in zip(rows, ids, strict=True)), abs=1e-6)


def test_a_run_keeps_its_pointer_and_says_that_no_export_has_it(tmp_path):
    folder = make_run(tmp_path, "translation", "task.lexicon=3")
    predictor = Predictor.load(folder)
    assert predictor.task.pointer.tokens.shape == (3, predictor.task.spec.vocab_size, 3)
    assert predictor.predict("a dog")[0].keys() >= {"prediction", "score"}
    with pytest.raises(UserError, match=r"task\.lexicon=0"):
        predictor.task.check_exportable()


def test_the_most_probable_translations_are_kept():
    pairs = [([5, 6, 5], [7, 8]), ([5, 9], [7, 9]), ([6], [8]), ([3], [4, 10, 11])]
    entries, probability = translation_probabilities(pairs)
    by_source: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for (source, target), share in zip(entries.tolist(), probability.tolist(), strict=True):
        by_source[source].append((-share, target))
    tokens, shares = most_probable(entries, probability, vocab_size=13, count=2)
    assert np.allclose(shares.sum(axis=1), 1.0)
    for id in range(13):
        best = sorted(by_source[id], key=lambda one: one[0])[:2]
        kept = {int(token): float(share) for token, share in zip(tokens[id], shares[id], strict=True) if share}
        total = -sum(share for share, _ in best)
        assert kept == pytest.approx({token: -share / total for share, token in best} if best else {id: 1.0})
    assert tokens[5, 0] == 7 and tokens[6, 0] == 8 and tokens[9, 0] == 9
