"""Completion: the loss against its formula, figures from rows, texts that go on."""

import math
from random import Random

import pytest
import torch

from framework.data.formats import Batch, BatchRows
from framework.data.spec import DataSpec
from framework.generation.engine import Decode
from framework.generation.strategy import Greedy
from framework.models.decoder_only import DecoderOnlyModel
from framework.registry import Part
from plugins.completion.data import CompletionFormat
from plugins.completion.task import CompletionTask

SPEC = DataSpec(vocab_size=19, max_length=12, padding=0, end=2)


@pytest.fixture
def task() -> CompletionTask:
    torch.manual_seed(0)
    model = Part(DecoderOnlyModel, dim=16, num_heads=2, num_layers=2, max_length=12, initial_std=0.4)
    return CompletionTask(model, SPEC, CompletionFormat()).double().eval()


def batch_of(*rows: list[int]) -> Batch:
    batch = CompletionFormat().collate([{"ids": row, "bytes": [3] * len(row), "words": [2] * len(row)} for row in rows], SPEC, Random(0))
    return {**batch, "@rows": BatchRows(list(range(len(rows))))}


def decode(wanted: int | None = None, total: int = 3, **options: int) -> Decode:
    return Decode(Greedy(**options), lambda ids: " ".join(map(str, ids)), SPEC.end, wanted, total)


ROWS = [[3, 4, 5, 6, 7, 8, 9], [10, 11, 12], [13, 2]]


def test_the_loss_is_the_sum_over_targets(task: CompletionTask) -> None:
    expected = 0.0
    with torch.no_grad():
        for row in ROWS:  # each alone, without padding
            scores = task.model.logits(task.model(torch.tensor([row[:-1]])))[0].log_softmax(-1)
            expected -= float(scores[range(len(row) - 1), row[1:]].sum())
        result = task(batch_of(*ROWS))
    assert float(result.loss) == pytest.approx(expected, abs=1e-9)
    assert int(result.weight) == 6 + 2 + 1


def test_distillation_outputs_are_of_the_targets_alone(task: CompletionTask) -> None:
    batch = batch_of(*ROWS)
    outputs = task.distillation_outputs(batch, task(batch))
    states = torch.cat([task.model(torch.tensor([row[:-1]]))[0] for row in ROWS])
    torch.testing.assert_close(outputs.hidden, states)
    torch.testing.assert_close(outputs.logits, task.model.logits(states))


def test_the_loss_reaches_every_parameter(task: CompletionTask) -> None:
    task(batch_of(*ROWS)).loss.backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in task.parameters())


def test_rows_hold_what_figures_are_made_of(task: CompletionTask) -> None:
    with torch.no_grad():
        result, rows = task.evaluate(batch_of(*ROWS), decode(wanted=0))
        assert [(row["tokens"], row["bytes"], row["words"]) for row in rows] == [(6, 18, 12), (2, 6, 4), (1, 3, 2)]
        for row, ids in zip(rows, ROWS, strict=True):
            assert row["nats"] == pytest.approx(float(task(batch_of(ids)).loss), abs=1e-9)
    metrics = task.metrics()
    task.update(metrics, rows[:1])
    task.update(metrics, rows[1:])
    nats = float(result.loss)
    assert float(metrics["perplexity"].compute()) == pytest.approx(math.exp(nats / 9), abs=1e-9)
    assert float(metrics["word_perplexity"].compute()) == pytest.approx(math.exp(nats / 18), abs=1e-9)
    assert float(metrics["bits_per_byte"].compute()) == pytest.approx(nats / math.log(2) / 27, abs=1e-9)


def test_figures_of_any_ranks_are_exactly_those_of_one(task: CompletionTask) -> None:
    random = Random(0)
    rows = [{"nats": random.expovariate(0.01), "tokens": 4, "bytes": 9, "words": random.randint(1, 9)} for _ in range(1000)]
    one, ranks = task.metrics(), [task.metrics() for _ in range(4)]  # the last has no row
    task.update(one, rows)
    task.update(ranks[3], [])
    for rank, metrics in enumerate(ranks[:3]):
        for start in range(rank * 7, len(rows), 21):
            task.update(metrics, rows[start : start + 7])
    for name in one:
        for metrics in ranks[1:]:
            ranks[0][name].merge_state(metrics[name])
        assert float(ranks[0][name].compute()) == float(one[name].compute())
        assert math.isnan(float(ranks[3][name].compute()))


def test_wanted_rows_are_continued_from_their_first_half(task: CompletionTask) -> None:
    with torch.no_grad():
        _, rows = task.evaluate(batch_of(*ROWS), decode(wanted=1))
    assert [("prediction" in row) for row in rows] == [False, False, True]
    with torch.no_grad():
        _, rows = task.evaluate(batch_of(*ROWS), decode())
    assert [(row["input"], row["reference"]) for row in rows] == [("3 4 5", "6 7 8 9"), ("10", "11 12"), ("13", "2")]
    alone = decode()(task.model, torch.tensor([[3, 4, 5]]), longest=4)[0][0]
    assert (rows[0]["prediction"], rows[0]["score"]) == (alone.text, pytest.approx(alone.score, abs=1e-9))


def test_prompts_go_on_where_they_stop(task: CompletionTask) -> None:
    """Without the end token that the format put after them; of a long one the model reads the last tokens."""
    prompts = [[3, 4, 5, 2], [6, 2], [2], [7, 8], list(range(3, 19)) + [2]]
    found = task.predict(batch_of(*prompts), decode(max_new_tokens=4))
    for row, prompt in zip(found, [[3, 4, 5], [6], [2], [7, 8], list(range(11, 19))], strict=True):
        alone = decode()(task.model, torch.tensor([prompt]), longest=4)[0][0]
        assert row == {"input": " ".join(map(str, prompt)), "prediction": alone.text, "score": pytest.approx(alone.score, abs=1e-9)}
    named = task.predict(batch_of(prompts[0]) | {"@rows": BatchRows([0], [{"text": "as it was given"}])}, decode())
    assert named[0]["input"] == "as it was given"


def test_padding_never_reaches_the_output_layer(task: CompletionTask, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Size] = []
    logits = task.model.logits
    monkeypatch.setattr(task.model, "logits", lambda hidden: (seen.append(hidden.shape), logits(hidden))[1])
    task(batch_of(*ROWS))
    assert seen == [(9, 16)]
