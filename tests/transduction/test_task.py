"""Exact matches by teacher forcing are those of greedy decoding, with both families; a decoder reads joined sequences."""

import math
from random import Random

import pytest
import torch

from framework import Part, build_model, compose
from framework.data.formats import BatchRows
from framework.data.spec import DataSpec
from framework.data.tokenization.words import WordsTokenizer
from framework.generation.engine import Decode
from framework.generation.strategy import Greedy
from framework.tasks.base import BaselineData
from plugins.transduction.baseline import longest_suffix
from plugins.transduction.data import TransductionFormat
from plugins.transduction.joining import joined
from plugins.transduction.metrics import ExactMatch
from plugins.transduction.task import TransductionTask, kind_of

ROWS = [
    {"input": " ".join("ab"[(number >> bit) % 2] for bit in range(2 + number % 3)), "output": "a b", "kind": None} for number in range(8)
]
TOKENIZER = WordsTokenizer().train(lambda: ["a b c"])
SPEC = DataSpec(vocab_size=TOKENIZER.vocab_size, max_length=24, padding=0, begin=1, end=2, unknown=3, mask=4)


def task_of(family: str) -> TransductionTask:
    torch.manual_seed(1)
    values = {"dim": 16, "num_layers": 2, "num_heads": 2, "max_length": 24, "dropout": 0.0}
    return TransductionTask(Part(f"model/{family}", **values), SPEC, TransductionFormat()).double().eval()


def batch_of(rows: list[dict], wanted: int | None = None) -> dict:
    format = TransductionFormat()
    features = [format.encode(row, TOKENIZER, SPEC) for row in rows]
    return BatchRows(list(range(len(rows))), rows).added_to(format.collate(features, SPEC, Random(0)))


def decoding(wanted: int | None = None) -> Decode:
    return Decode(Greedy(max_new_tokens=6), TOKENIZER.decode, SPEC.end, wanted, len(ROWS))


FAMILIES = ("decoder_only", "encoder_decoder")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_is_right_exactly_where_greedy_decoding_writes_it(family):
    """A model that has learned half of its rows."""
    task = task_of(family).train()
    rows = [{**row, "output": row["input"][::-1]} for row in ROWS]
    optimizer = torch.optim.Adam(task.parameters(), lr=0.01)
    for _ in range(80):
        optimizer.zero_grad()
        result = task(batch_of(rows[:5]))
        (result.loss / result.weight).backward()
        optimizer.step()
    _, found = task.eval().evaluate(batch_of(rows), decoding())
    written = [row["prediction"] for row in task.predict(batch_of([{"input": row["input"]} for row in rows]), decoding())]
    exact = [row["right"] == row["tokens"] for row in found]
    assert exact == [text == row["output"] for text, row in zip(written, rows, strict=True)]
    assert set(exact) == {True, False}
    assert [row["prediction"] for row in found] == written and [row["reference"] for row in found] == [row["output"] for row in rows]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_that_of_each_row_alone(family):
    task = task_of(family)
    together = task(batch_of(ROWS))
    alone = [task(batch_of([row])) for row in ROWS]
    assert float(together.weight) == sum(float(each.weight) for each in alone) == 3 * len(ROWS)
    torch.testing.assert_close(together.loss, sum(each.loss for each in alone), rtol=1e-9, atol=1e-9)


def test_a_decoder_reads_input_and_output_without_padding_between_them():
    source = torch.tensor([[5, 6, 2], [7, 2, 0]])
    target, is_token = torch.tensor([[1, 8, 0], [1, 9, 5]]), torch.tensor([[True, True, False], [True, True, True]])
    sequence = joined(source, source != 0, target, is_token)
    assert sequence.ids[0, :5].tolist() == [5, 6, 2, 1, 8] and sequence.ids[1, :5].tolist() == [7, 2, 1, 9, 5]
    assert sequence.padding_mask.sum(1).tolist() == [5, 5] and sequence.padding_mask[:, :5].all()
    states = sequence.ids[:, :, None].double()
    assert sequence.of_target(states)[is_token].flatten().tolist() == [1, 8, 1, 9, 5]


def test_a_row_with_given_words_has_no_prediction():
    row = {"input": "a b", "output": "c a b", "given": [0], "kind": None}
    _, (found,) = task_of("decoder_only").evaluate(batch_of([row]), decoding())
    assert found["reference"] == "a b" and found["tokens"] == 3
    assert "prediction" not in found and len(found["likeliest"].split()) <= 3


def test_kinds():
    assert kind_of({"kind": "cp recursion", "output": "a"}) == "cp_recursion" and kind_of({"output": "a b"}) == "length_2"


def test_figures_by_kind_and_of_ranks_together():
    rows = [(3, 3, "length_4"), (1, 2, "length_16"), (2, 2, "length_16"), (0, 1, "length_4"), (1, 1, "length_4")]
    whole, halves = ExactMatch(), [ExactMatch(), ExactMatch()]
    whole.keep_rows()
    for metric, part in ((whole, rows), (halves[0], rows[:2]), (halves[1], rows[2:])):
        metric.update(*map(list, zip(*part, strict=True)))
    found = {name: float(value) for name, value in whole.compute().items()}
    assert found == {"exact_match": 3 / 5, "token_accuracy": 7 / 9, "exact_match/length_4": 2 / 3, "exact_match/length_16": 1 / 2}
    assert whole.resampled().figures() == found
    joint = ExactMatch()
    for name in ("numbers", "names"):
        setattr(joint, name, [torch.cat(getattr(halves[0], name)), torch.cat(getattr(halves[1], name))])
    assert {name: float(value) for name, value in joint.compute().items()} == found


def test_the_baseline_is_the_output_of_the_longest_common_suffix():
    train = [
        {"input": "a b c", "output": "x"},
        {"input": "d b c", "output": "y"},
        {"input": "e c", "output": "y"},
        {"input": "f", "output": "z"},
    ]
    test = [{"input": "q b c"}, {"input": "a b c"}, {"input": "d b c"}, {"input": "z z"}]
    assert [output for _, output in longest_suffix(train, test)] == ["x", "x", "y", "y"]
    rows = [{"input": "a b c", "output": "x", "kind": "one"}, {"input": "f", "output": "z z", "given": [0]}]
    (found,) = task_of("decoder_only").baseline(BaselineData(train=train, test=rows)).values()
    assert found == [{"right": 2, "tokens": 2, "kind": "one"}, {"right": 0, "tokens": 2, "kind": "length_2"}]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_initial_loss_is_that_of_chance(family):
    model = compose(["task=transduction", f"model=tiny_{family.removesuffix('_only')}"])["model"]
    assert build_model({**compose(["task=transduction"]), "model": model}) is not None
    result = task_of(family)(batch_of(ROWS))
    assert float((result.loss / result.weight).detach()) == pytest.approx(math.log(SPEC.vocab_size), rel=0.5)
