"""Bootstrap of figures over rows: intervals of scipy and of sacrebleu, for every metric of the built-in tasks, and figures of any rows."""

import warnings
from random import Random

import numpy as np
import pytest
import sacrebleu
import scipy.stats
from sacrebleu.metrics.base import Metric as SacreMetric
from sacrebleu.significance import PairedTest
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from framework import Bleu, Chrf, Perplexity, RowAverage, RowMetric
from framework.metrics.resampling import Resampled, bootstrap, drawn, interval, intervals, p_value, resamples_of, sums
from framework.metrics.rouge import Rouge
from framework.tasks.resampled import figures_of, resampled
from plugins.classification.label_metric import LabelFigures
from plugins.classification.number_metric import NumberFigures
from plugins.ner.metrics import SpanF1

WORDS = "the cat sat on a mat and saw the dog".split()


def texts(seed: int, rows: int = 40) -> list[str]:
    random = Random(seed)
    return [" ".join(random.choices(WORDS, k=random.randint(2, 9))) for _ in range(rows)]


def tags(seed: int, rows: int = 40) -> list[list[str]]:
    random = Random(seed)
    return [[random.choice(["O", "B-a", "I-a", "B-b", "B-new"]) for _ in range(4)] for _ in range(rows)]


def labels(seed: int, rows: int = 40) -> list[str]:
    return Random(seed).choices(["a", "b", "c", "new"], k=rows)


def numbers(seed: int, rows: int = 40) -> list[float]:
    return [float(Random(seed * 1000 + row).randint(0, 9)) for row in range(rows)]


METRICS = {
    "bleu": (Bleu, texts),
    "chrf": (Chrf, texts),
    "rouge": (Rouge, texts),
    "labels": (lambda: LabelFigures(["a", "b", "c"], several=False), labels),
    "several labels": (lambda: LabelFigures(["a", "b", "c"], several=True), lambda seed: [{*pair} for pair in tags(seed)]),
    "entities": (lambda: SpanF1(["a", "b"]), tags),
    "numbers": (NumberFigures, numbers),
    "perplexity": (Perplexity, lambda seed: [1 + int(number) for number in numbers(seed)]),
    "a share of rows": (lambda: RowAverage(str.__eq__), labels),
}


@pytest.mark.parametrize("name", METRICS)
def test_figures_of_a_resample_are_those_of_the_metric_on_its_rows(name):
    make, draw = METRICS[name]
    predictions, references = draw(1), draw(2)
    metric = make()
    metric.keep_rows()
    metric.update(predictions[:7], references[:7])
    metric.update(predictions[7:], references[7:])
    kept = metric.resampled()
    assert kept.rows == 40
    (weights,) = drawn(40, 5, seed=3)
    found = kept.of(weights)
    for number, row in enumerate([*weights, np.ones(40)]):
        places = np.repeat(np.arange(40), row.astype(int)).tolist()
        again = make()
        again.update([predictions[place] for place in places], [references[place] for place in places])
        value = again.compute()
        expected = {key: float(each) for key, each in (value if isinstance(value, dict) else {"": value}).items()}
        now = {key: float(values[number]) for key, values in found.items()} if number < 5 else kept.figures()
        assert now == pytest.approx(expected, nan_ok=True)


def test_label_figures_of_resamples_are_those_of_scikit_learn():
    predictions = np.array([label.replace("new", "a") for label in labels(1)])
    references = np.array(labels(2))
    metric = LabelFigures(["a", "b", "c"], several=False)
    metric.keep_rows()
    metric.update(predictions.tolist(), references.tolist())
    (weights,) = drawn(40, 5)
    found = metric.resampled().of(weights)
    for number, row in enumerate(weights):
        one, other = references, predictions
        expected = {
            "accuracy": accuracy_score(one, other, sample_weight=row),
            "f1": f1_score(one[row > 0], other[row > 0], average="macro", sample_weight=row[row > 0], zero_division=0),
            "mcc": matthews_corrcoef(one, other, sample_weight=row),
        }
        assert {name: values[number] for name, values in found.items()} == pytest.approx(expected)


@pytest.mark.parametrize("rows", [60, 400])
def test_the_interval_is_scipys(rows):
    values = np.random.default_rng(1).gamma(2.0, size=(rows, 2))
    ratio = sums(values, lambda summed: {"ratio": summed[:, 0] / summed[:, 1]})
    found = interval(bootstrap([ratio], wanted=20_000, seed=5)[0]["ratio"])

    def statistic(x, y, axis):
        return x.sum(axis) / y.sum(axis)

    expected = scipy.stats.bootstrap(
        tuple(values.T), statistic, paired=True, vectorized=True, n_resamples=20_000, method="percentile", rng=np.random.default_rng(7)
    ).confidence_interval
    width = expected.high - expected.low
    assert found == pytest.approx((expected.low, expected.high), abs=0.03 * width)


def test_the_interval_of_a_correlation_is_scipys():
    random = np.random.default_rng(0)
    true = random.normal(size=120)
    predicted = true + random.normal(size=120)
    metric = NumberFigures()
    metric.keep_rows()
    metric.update(predicted.tolist(), true.tolist())
    found = bootstrap([metric.resampled()], wanted=4000)[0]
    for name, statistic in (("pearson", scipy.stats.pearsonr), ("spearman", scipy.stats.spearmanr)):
        expected = scipy.stats.bootstrap(
            (predicted, true),
            lambda x, y, statistic=statistic: statistic(x, y)[0],
            paired=True,
            vectorized=False,
            n_resamples=1500,
            method="percentile",
            rng=random,
        ).confidence_interval
        assert interval(found[name]) == pytest.approx((expected.low, expected.high), abs=0.03)


@pytest.mark.parametrize("make", [Bleu, Chrf])
def test_interval_and_p_value_are_sacrebleus(make):
    random, references = Random(0), texts(2, 300)
    first, second = (
        [" ".join(word if random.random() > share else random.choice(WORDS) for word in text.split()) for text in references]
        for share in (0.27, 0.3)
    )
    kept = []
    for predictions in (first, second):
        metric = make()
        metric.keep_rows()
        metric.update(predictions, references)
        kept.append(metric.resampled())
    one, other = bootstrap(kept, wanted=2000)
    scorer: SacreMetric = sacrebleu.BLEU(references=[references]) if make is Bleu else sacrebleu.CHRF(references=[references])
    systems = [("second", second), ("first", first)]
    options = {"references": None, "n_samples": 2000, "n_ar_confidence": 2000}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, scores = PairedTest(systems, {"it": scorer}, test_type="ar", **options)()
    base, compared = next(values for name, values in scores.items() if name != "System")
    low, high = interval(one[""])
    assert ((low + high) / 2, (high - low) / 2) == pytest.approx((float(compared.mean), float(compared.ci)), abs=0.15 * float(compared.ci))
    difference = kept[0].figures()[""] - kept[1].figures()[""]
    assert difference == pytest.approx(compared.score - base.score)
    # of sacrebleu's tests the randomization is two-sided, its bootstrap one-sided
    assert p_value(one[""] - other[""], difference) == pytest.approx(compared.p_value, abs=0.03)
    assert 0.001 < compared.p_value < 0.5  # neither end


def test_the_p_value_is_scipys_where_the_test_is_the_same():
    differences = np.random.default_rng(2).normal(0.12, 1, size=200)
    mean = Resampled(200, lambda weights: {"": weights @ differences / weights.sum(1)})
    expected = scipy.stats.permutation_test(
        (differences, np.zeros(200)),
        lambda x, y, axis: (x - y).mean(axis),
        permutation_type="samples",
        n_resamples=20_000,
        rng=np.random.default_rng(0),
    ).pvalue
    found = p_value(bootstrap([mean], wanted=20_000)[0][""], differences.mean())
    assert found == pytest.approx(expected, abs=0.02) and 0.02 < expected < 0.3


def test_resamples_are_fewer_where_rows_are_many_and_systems_share_them():
    assert [resamples_of(rows) for rows in (10, 20_000, 40_000, 10**9)] == [1000, 1000, 500, 200]
    assert resamples_of(10, most=7) == 7
    mean = Resampled(50, lambda weights: {"": weights @ np.arange(50.0) / 50})
    one, other = bootstrap([mean, mean], seed=1)
    assert (one[""] == other[""]).all() and len(set(one[""].tolist())) > 100
    assert all((weights.sum(axis=1) == 50).all() for weights in drawn(50, 30))


def test_what_is_undefined_has_no_interval():
    assert interval(np.array([np.nan] * 10 + [1.0] * 90)) is None
    assert interval(np.array([np.nan] * 2 + [1.0] * 98)) == (1.0, 1.0)
    assert intervals(Resampled(9, lambda weights: {"": weights.sum(1)})) == {}  # so few rows
    assert p_value(np.array([np.nan]), 1.0) == 1.0


class Foreign:
    """A task whose metrics are its own: one a `RowMetric`, the other any."""

    def metrics(self):
        from torchmetrics import MeanSquaredError

        return {"same": RowAverage(str.__eq__), "squares": MeanSquaredError()}

    def update(self, metrics, rows):
        import torch

        metrics["same"].update([row["prediction"] for row in rows], [row["reference"] for row in rows])
        metrics["squares"].update(*(torch.tensor([float(row[name]) for row in rows]) for name in ("prediction", "reference")))


def test_a_metric_of_any_kind_is_computed_anew_for_fewer_resamples():
    rows = [{"prediction": str(row % 7), "reference": str(row % 5)} for row in range(30)]
    found = resampled(Foreign(), rows)
    assert found.most == 100 and found.figures() == pytest.approx(figures_of(Foreign(), rows)) and "squares" in found.lower
    assert set(intervals(found)) == {"same", "squares"}
    many = resampled(Foreign(), rows * 100)
    assert many.most is None and set(many.figures()) == {"same"}
    assert set(resampled(Foreign(), rows, names=["squares"]).figures()) == {"squares"}
    assert resampled(Foreign(), []) is None


def test_a_metric_that_keeps_nothing_is_no_row_metric():
    class Forgets(RowMetric):
        def update(self, predictions, references):
            pass

        def compute(self):
            return 0.0

    task = Foreign()
    task.metrics = lambda: {"nothing": Forgets()}
    task.update = lambda metrics, rows: metrics["nothing"].update(rows, rows)
    found = resampled(task, [{}] * 20)
    assert found.most == 100  # `compute` is called for each resample
