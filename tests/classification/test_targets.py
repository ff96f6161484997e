"""Targets of classification: reading, statistics, loss and predictions of each option of the slot, against references."""

import json
from math import log, nan

import numpy
import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, mean_absolute_error
from sklearn.utils.class_weight import compute_class_weight
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.registry import Part
from framework.tasks.cross_entropy import IGNORED
from plugins.classification.label import LabelTarget
from plugins.classification.labels import LabelsTarget
from plugins.classification.number import NumberTarget
from plugins.classification.number_metric import pearson

LABELS = ("cold", "mild", "warm")


def spec(target, values):
    statistics = json.loads(json.dumps(target.fit([{"text": "", "label": value} for value in values])))
    return DataSpec(vocab_size=9, max_length=9, labels=tuple(statistics.pop("labels", ())), statistics=statistics)


def scores(rows, columns, seed=0):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def measured(target, known, rows, parts):
    """Figures of rows that come in so many parts, each a process of its own that counts alone and is joined at the end."""
    metrics = [target.metrics(known) for _ in range(parts)]
    for number, own in enumerate(metrics):
        for row in rows[number::parts]:
            target.update(own, [row])
    found = {}
    for name, first in metrics[0].items():
        if not first.update_called:  # these rows have no probabilities
            continue
        for other in metrics[1:]:
            for state, reduce in first._reductions.items():
                mine, theirs = getattr(first, state), getattr(other[name], state)
                setattr(first, state, mine + theirs if isinstance(mine, list) else reduce(torch.stack((mine, theirs))))
        value = first.compute()
        found |= value if isinstance(value, dict) else {name: float(value)}
    return found


# -- one label -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [None, {"cold": 3.0}])
def test_the_loss_leaves_out_a_row_whose_label_the_training_rows_lack(weights):
    target = LabelTarget(weights)
    known, logits, labels = spec(target, LABELS), scores(5, 3), torch.tensor([0, IGNORED, 2, 1, IGNORED])
    kept = labels != IGNORED
    for loss, expected in zip(target.loss(logits, labels, known, 0.1), target.loss(logits[kept], labels[kept], known, 0.1), strict=True):
        torch.testing.assert_close(loss, expected)


def test_figures_of_a_label_that_training_lacks_are_those_of_scikit_learn_on_two_processes():
    target, known = LabelTarget(), spec(LabelTarget(), LABELS)
    pairs = [("cold", "cold"), ("warm", "new"), ("cold", "new"), ("mild", "newer"), ("mild", "mild"), ("mild", "cold")]
    rows = [{"prediction": told, "reference": true} for told, true in pairs]
    told, true = zip(*pairs, strict=True)
    expected = {"accuracy": accuracy_score(true, told), "f1": f1_score(true, told, average="macro", zero_division=0)}
    expected["mcc"] = matthews_corrcoef([label.replace("newer", "new") for label in true], told)  # they count as one
    assert measured(target, known, rows, 1) == measured(target, known, rows, 2) == pytest.approx(expected)
    report = {name: text.splitlines() for name, text in target.report(rows, known).items()}
    assert report["report.csv"][-2:] == ["new,,0.0000,0.0000,2", "newer,,0.0000,0.0000,1"]
    assert report["confusion.csv"][-2:] == ["new,1,0,1,0,0", "newer,0,1,0,0,0"]


def test_a_weight_for_each_label_is_torchs_weighted_cross_entropy():
    target = LabelTarget({"cold": 3.0, "warm": 0.5})
    known, logits, labels = spec(target, LABELS), scores(5, 3), torch.tensor([0, 2, 2, 1, 0])
    for smoothing in (0.0, 0.2):
        loss, weight = target.loss(logits, labels, known, smoothing)
        each = torch.tensor([3.0, 1.0, 0.5], dtype=torch.double)
        assert weight.item() == 3 + 0.5 + 0.5 + 1 + 3
        torch.testing.assert_close(loss / weight, cross_entropy(logits, labels, weight=each, label_smoothing=smoothing))


def test_balanced_weights_are_scikit_learns():
    target = LabelTarget("balanced")
    values = ["cold"] * 6 + ["mild"] * 3 + ["warm"]
    known = spec(target, values)
    assert target.weights(known) == pytest.approx(list(compute_class_weight("balanced", classes=numpy.array(LABELS), y=values)))
    counted = [target.loss(scores(1, 3), torch.tensor([LABELS.index(value)]), known, 0.0)[1].item() for value in values]
    assert sum(counted) == pytest.approx(len(values))


def test_weights_may_be_keyed_by_numbers_as_a_config_reads_them():
    target = LabelTarget({0: 2.0})
    assert target.weights(spec(target, ["0", "1"])) == [2.0, 1.0]


def test_weights_without_a_meaning_are_refused():
    with pytest.raises(UserError, match=r"names 'wram' \(did you mean 'warm'\?\); the training rows have 'cold', 'mild', 'warm'"):
        spec(LabelTarget({"wram": 2.0}), LABELS)
    for weight in (-1.0, nan, float("inf")):
        with pytest.raises(UserError, match="finite and at least 0"):
            LabelTarget({"cold": weight})


def test_several_labels_where_one_is_wanted_are_sent_to_their_target():
    with pytest.raises(ValueError, match="task/target=labels"):
        LabelTarget().value({"label": ["cold", "warm"]})


def test_the_report_tells_what_was_taken_for_what():
    target = LabelTarget()
    rows = [{"reference": a, "prediction": b} for a, b in zip("aaab", "aabb", strict=True)]
    written = target.report(rows, spec(target, "abc"))
    assert written["confusion.csv"] == "reference,a,b,c\na,2,1,0\nb,0,1,0\nc,0,0,0\n"
    assert written["report.csv"].splitlines() == [
        "label,precision,recall,f1,rows",
        "a,1.0000,0.6667,0.8000,3",
        "b,0.5000,1.0000,0.6667,1",
        "c,,,,0",
    ]


# -- several labels --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (["warm", "cold"], ["cold", "warm"]),
        (("cold", "cold"), ["cold"]),
        ("warm, cold", ["cold", "warm"]),
        ("", []),
        ([], []),
        (3, ["3"]),
    ],
)
def test_labels_are_a_list_or_a_text_with_separators(value, names):
    assert LabelsTarget().value({"label": value}) == names


def test_the_separator_is_an_option():
    assert LabelsTarget(separator="|").value({"label": "a, b|c"}) == ["a, b", "c"]


def test_what_is_no_list_of_labels_is_refused():
    for value, what in ((None, "no label"), ({"cold": 1}, "of type dict")):
        with pytest.raises(ValueError, match=what):
            LabelsTarget().value({"label": value})
    with pytest.raises(ValueError, match="none of the training rows has a label"):
        spec(LabelsTarget(), ["", []])


def test_a_text_may_have_no_label_at_all():
    target, known = LabelsTarget(), spec(LabelsTarget(), ["cold,warm", "mild", ""])
    encoded = [target.encode({"label": value}, known) for value in ("warm,cold", "", "mild")]
    assert encoded == [[0, 2], [], [1]]
    assert target.collate(encoded, known).tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_of_labels_is_torchs_binary_cross_entropy(smoothing):
    target, known = LabelsTarget(), spec(LabelsTarget(), ["cold,warm", "mild"])
    logits, has = scores(2, 3), torch.tensor([[1.0, 0, 1], [0, 0, 0]])
    loss, weight = target.loss(logits, has, known, smoothing)
    assert weight.item() == 6
    smooth = (has * (1 - smoothing) + smoothing / 2).double()
    torch.testing.assert_close(loss / weight, binary_cross_entropy_with_logits(logits, smooth))


def test_labels_at_the_threshold_are_told():
    known = spec(LabelsTarget(), ["cold,warm,mild"])
    logits = torch.tensor([[log(0.3 / 0.7), 2.0, -9.0], [-5.0, -5.0, -5.0]])
    rows = LabelsTarget(threshold=0.3).predict(logits + 1e-6, known)
    assert [row["prediction"] for row in rows] == [["cold", "mild"], []]
    assert [row["prediction"] for row in LabelsTarget().predict(logits, known)] == [["mild"], []]
    assert rows[0]["scores"]["cold"] == pytest.approx(0.3, abs=1e-5) and json.dumps(rows)


@pytest.mark.parametrize("options", [{"threshold": 0.0}, {"threshold": 1.0}, {"separator": ""}])
def test_options_without_a_meaning_are_refused(options):
    with pytest.raises(UserError, match=next(iter(options))):
        Part(LabelsTarget, **options)()


def random_labels(seed, count=40):
    """Labels of texts, and what is told of them; the last label is never told and never true."""
    random = numpy.random.default_rng(seed)
    true, told = random.random((count, 3)) < 0.3, random.random((count, 3)) < 0.4
    named = lambda has: [label for label, yes in zip(LABELS, has, strict=True) if yes]  # noqa: E731
    return [{"reference": named(a), "prediction": named(b)} for a, b in zip(true, told, strict=True)]


FIXED = [
    {"reference": ["cold"], "prediction": ["cold", "warm"]},
    {"reference": [], "prediction": []},
    {"reference": ["mild", "warm"], "prediction": ["mild"]},
]


UNSEEN = [{"reference": ["cold", "new"], "prediction": ["cold"]}, {"reference": ["new", "newer"], "prediction": ["mild"]}, *FIXED]
NAMES = ["fixed", "none", "random 0", "random 1", "labels that training lacks"]


@pytest.mark.parametrize("rows", [FIXED, FIXED[1:2], random_labels(0), random_labels(1), UNSEEN], ids=NAMES)
def test_figures_of_labels_are_those_of_scikit_learn_on_any_number_of_processes(rows):
    target, known = LabelsTarget(), spec(LabelsTarget(), [[*LABELS, "never"]])
    found = measured(target, known, rows, 1)
    labels = sorted({*known.labels, *(label for row in rows for label in row["reference"])})
    has = [[[label in row[name] for label in labels] for row in rows] for name in ("reference", "prediction")]
    true, told = map(numpy.array, has)
    expected = {f"{how}_f1": f1_score(true, told, average=how, zero_division=0) for how in ("micro", "macro")}
    assert found == pytest.approx({**expected, "subset_accuracy": accuracy_score(true, told)})
    if len(rows) > 1:
        assert measured(target, known, rows, 2) == found


# -- a number --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, "", "many", True, "nan", float("inf"), [1.0]])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match="must be a number"):
        NumberTarget().value({"label": value})


def test_numbers_are_learned_in_standard_deviations():
    values = ["1", 2, 4.5, -3]
    known = spec(NumberTarget(), values)
    encoded = [NumberTarget().encode({"label": value}, known) for value in values]
    assert numpy.mean(encoded) == pytest.approx(0, abs=1e-12) and numpy.std(encoded) == pytest.approx(1)
    told = NumberTarget().predict(torch.tensor(encoded, dtype=torch.double)[:, None], known)
    assert [row["prediction"] for row in told] == pytest.approx([1.0, 2.0, 4.5, -3.0])


def test_one_number_is_nothing_to_learn():
    with pytest.raises(ValueError, match=r"at least two different numbers are needed; the training rows have \[2.0\]"):
        spec(NumberTarget(), [2, "2.0"])


def test_the_loss_of_numbers_is_their_squared_error():
    known = spec(NumberTarget(), [0, 2])
    loss, weight = NumberTarget().loss(torch.tensor([[0.5], [2.0]]), torch.tensor([1.0, -1.0]), known, 0.0)
    assert (loss.item(), weight.item()) == (0.25 + 9.0, 2.0)


def numbers(seed, count=50):
    """True numbers with many ties, and predictions of very unlike sizes, whose sums depend on their order unless they are exact."""
    random = numpy.random.default_rng(seed)
    true = random.integers(0, 6, count).astype(float)
    told = true + random.normal(size=count) * 10.0 ** random.integers(-8, 3, count)
    return [{"reference": a, "prediction": b} for a, b in zip(true.tolist(), told.tolist(), strict=True)]


@pytest.mark.parametrize("seed", range(3))
def test_figures_of_numbers_are_those_of_scipy_on_any_number_of_processes(seed):
    rows, target, known = numbers(seed), NumberTarget(), spec(NumberTarget(), [0, 1])
    true, told = ([row[name] for row in rows] for name in ("reference", "prediction"))
    found = measured(target, known, rows, 1)
    expected = {"pearson": pearsonr(true, told)[0], "spearman": spearmanr(true, told)[0]}
    assert found == pytest.approx({**expected, "mean_absolute_error": mean_absolute_error(true, told)})
    assert measured(target, known, rows, 2) == found  # to the last bit
    assert measured(target, known, rows[::-1], 3) == found


def test_what_never_changes_goes_with_nothing():
    assert numpy.isnan(pearson([1.0, 2.0], [0.1, 0.1]))


# -- labels and numbers of files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "label", [1e308, -1e308, 10**400, "9" * 5000, "1e999", "nan", "1_000", float("inf"), float("nan"), True, None, "", [1], {"a": 1}]
)
def test_a_number_that_cannot_be_counted_with_is_refused(label):
    with pytest.raises(ValueError, match="must be a number between"):
        NumberTarget().value({"label": label})


@pytest.mark.parametrize("label", [1e100, -1e100, "2.5", " 3 ", 7, "1e3"])
def test_numbers(label):
    assert NumberTarget().value({"label": label}) == float(label)


def test_numbers_whose_squares_vanish_are_refused():
    with pytest.raises(ValueError, match="differ too little"):
        NumberTarget().fit([{"label": 1e-200}, {"label": 2e-200}])
    assert NumberTarget().fit([{"label": 1e100}, {"label": -1e100}])["deviation"] == 1e100


def test_labels_that_are_one_number_are_refused():
    for target, rows in ((LabelTarget(), ["1", "1.0", "x"]), (LabelsTarget(), [["1", "x"], ["1.0"]])):
        with pytest.raises(ValueError, match=r"'1' and '1.0' are one number"):
            target.fit([{"label": value} for value in rows])
    assert LabelTarget().fit([{"label": value} for value in ("1", 1, 1.5, "2", "nan", "NaN")])["labels"] == ("1", "1.5", "2", "NaN", "nan")


def test_one_column_of_flags_is_not_several_labels():
    with pytest.raises(ValueError, match=r"data.columns.label=\[ONE,OTHER\]"):
        LabelsTarget().fit([{"label": value} for value in ("0", "1", 1)])


@pytest.mark.parametrize("label", ["['a', 'b']", '["a"]', " ['a']"])
def test_a_list_as_text_is_no_label(label):
    for target in (LabelTarget(), LabelsTarget()):
        with pytest.raises(ValueError, match="a list as text"):
            target.value({"label": label})
    assert LabelsTarget().value({"label": "[a], b"}) == ["[a]", "b"]


@pytest.mark.parametrize("label", [[None], [["a"]], [{"a": 1}], [float("nan")]])
def test_only_names_are_labels_in_a_list(label):
    with pytest.raises(ValueError, match="a label is"):
        LabelsTarget().value({"label": label})
    assert LabelsTarget().value({"label": [" a ", 1, True, 1.0]}) == ["1", "1.0", "a", "true"]
