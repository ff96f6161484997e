"""The end of a run: intervals of its figures, whether it is better than its baseline, and what to try if it is not."""

import pytest

from framework.metrics.ratio import BitsPerByte, RowAverage
from framework.workflows.hints import MOST, hints
from framework.workflows.verdict import judged


class Labels:
    monitor, mode = "validation/accuracy", "max"

    def metrics(self):
        return {"accuracy": RowAverage(str.__eq__)}

    def update(self, metrics, rows):
        metrics["accuracy"].update([row["prediction"] for row in rows], [row["reference"] for row in rows])

    def hints(self, config):
        return ["task.own=1: its own advice"]


class Bits(Labels):
    monitor, mode = "validation/loss", "min"

    def metrics(self):
        return {"bits_per_byte": BitsPerByte()}

    def update(self, metrics, rows):
        metrics["bits_per_byte"].update([row["nats"] for row in rows], [row["bytes"] for row in rows])


def labels(right, rows=200, first=0):
    """Rows of which so many are right, from the first on."""
    return [{"row": row, "reference": "a", "prediction": "a" if first <= row < first + right else "b"} for row in range(rows)]


def judge(rows, baseline, figures=None):
    shares = [sum(row["prediction"] == "a" for row in some) / len(some) if some else 0.0 for some in (rows, baseline)]
    metrics = figures or {"test/accuracy": shares[0], "test/loss": 1.0, "baseline/accuracy": shares[1], "baseline/loss": 2.0}
    return judged(Labels(), "test", rows, metrics, baseline)


@pytest.mark.parametrize(
    ("right", "others", "better", "begins"),
    [(180, 150, True, "better"), (150, 180, False, "worse"), (150, 152, None, "no clear difference"), (150, 150, None, "no clear")],
)
def test_the_difference_is_one_over_the_same_rows(right, others, better, begins):
    verdict = judge(labels(right), labels(others))
    assert verdict.better is better and verdict.sentence.startswith(begins) and "test/accuracy" in verdict.sentence
    low, found, high = (verdict.figures[name] for name in ("low/difference/accuracy", "difference/accuracy", "high/difference/accuracy"))
    assert low <= found <= high and found == pytest.approx((right - others) / 200)
    assert verdict.figures["low/test/accuracy"] < right / 200 < verdict.figures["high/test/accuracy"]
    # rows that both have right say nothing: 30 of 200 that one alone has right have a deviation of 0.025 where unpaired rows have 0.043
    assert high - low < 0.11


def test_rows_pair_by_their_numbers():
    rows, baseline = labels(180), labels(150)
    assert judge(rows[::-1], baseline).figures == pytest.approx(judge(rows, baseline).figures, abs=0.02)
    some = judge([row for row in rows if row["row"] % 2], baseline)  # as of a task that generates for some rows
    assert some.figures["low/difference/accuracy"] > 0
    few = judge([row for row in rows if row["row"] >= 100], baseline)  # on which the two differ more than on all
    assert few.figures["difference/accuracy"] == pytest.approx(0.3) and few.figures["high/difference/accuracy"] > 0.3
    assert "low/difference/accuracy" not in judge(rows, baseline[:199]).figures  # the baseline did not read all


def test_a_baseline_of_figures_alone_is_held_against_the_interval_of_the_run():
    rows = [{"row": row, "nats": 2.0 + row % 3, "bytes": 4} for row in range(90)]
    value = 3 / 4 / 0.6931471805599453
    for baseline, better in ((2.0, True), (value + 0.001, None), (0.5, False)):  # the lower the better
        metrics = {"test/loss": 1.0, "test/bits_per_byte": value, "baseline/bits_per_byte": baseline}
        verdict = judged(Bits(), "test", rows, metrics, [])
        assert verdict.better is better and "bits_per_byte" in verdict.sentence
        assert not [name for name in verdict.figures if "difference" in name]


def test_few_rows_have_no_interval_and_no_verdict_is_claimed():
    verdict = judge(labels(9, rows=9), labels(0, rows=9))
    assert verdict.better is None and verdict.figures == {} and "without an interval" in verdict.sentence


@pytest.mark.parametrize("figures", [{"test/accuracy": 0.5}, {"test/accuracy": 0.5, "baseline/accuracy": float("nan")}])
def test_without_a_baseline_there_is_no_verdict(figures):
    verdict = judge(labels(100), [], figures)
    assert (verdict.sentence, verdict.better) == ("", None) and "low/test/accuracy" in verdict.figures


CONFIG = {
    "effort": "standard",
    "model": {"max_length": 128, "dropout": 0.1, "pretrained": None},
    "trainer": {"max_epochs": 6, "max_steps": -1},
    "optimizer": {"lr": 1e-4},
}
SIZES = {"rows": 50_000, "tokens": 1_000_000, "unknown": 0, "truncated": 0, "dropped": 0}


def asked(best=0.8, from_rows=False, pretrained=None, **sizes):
    config = {**CONFIG, "model": {**CONFIG["model"], "pretrained": pretrained}}
    return [hint.partition(":")[0] for hint in hints(config, {**SIZES, **sizes}, Labels(), best, from_rows)]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, ["task.own=1"]),
        ({"truncated": 30_000}, ["model.max_length=256", "task.own=1"]),
        ({"unknown": 30_000}, ["tokenizer=bpe", "task.own=1"]),
        ({"best": 1.0}, ["trainer.max_epochs=12", "task.own=1"]),
        ({"best": 1.0, "from_rows": True}, ["effort=large", "task.own=1"]),
        ({"best": 0.3}, ["task.own=1", "model.dropout=0.3"]),
        ({"best": 0.3, "pretrained": "DIR"}, ["task.own=1", "optimizer.lr=5e-05"]),
        ({"best": None, "rows": 900}, ["task.own=1", "model.pretrained=DIR"]),
        ({"best": None, "rows": 900, "pretrained": "DIR"}, ["task.own=1"]),
    ],
)
def test_what_to_try_follows_from_the_data_and_the_training(facts, expected):
    assert asked(**facts) == expected


def test_hints_are_few():
    assert len(asked(best=0.3, truncated=900, unknown=30_000, rows=1000)) == MOST
