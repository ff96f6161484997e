"""Figures of whole entities, equal to seqeval's on any input and any split of it."""

import warnings
from random import Random

import pytest
from seqeval.metrics import classification_report, f1_score, precision_score, recall_score
from torchmetrics import Metric

from plugins.ner.metrics import SpanF1

TYPES = ("a", "b-c", "d", "never")


def random_rows(random, letters, rows):
    """Tags to find and tags found that are often the same, legal or not."""
    tags = ["O", "O", *(f"{letter}-{type}" for letter in letters for type in TYPES[:3])]
    expected = [[random.choice(tags) for _ in range(random.randrange(1, 12))] for _ in range(rows)]
    return expected, [[tag if random.random() < 0.8 else random.choice(tags) for tag in row] for row in expected]


def figures(rows):
    metric = SpanF1(TYPES)
    expected, predicted = rows
    metric.update(predicted, expected)
    return {name: float(value) for name, value in metric.compute().items()}


def seqevals(expected, found):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of types that nobody found
        report = classification_report(expected, found, output_dict=True, zero_division=0)
        functions = {"precision": precision_score, "recall": recall_score, "f1": f1_score}
        whole = {name: function(expected, found, zero_division=0) for name, function in functions.items()}
    each = {f"f1/{type}": report[type]["f1-score"] if type in report else 0.0 for type in TYPES}
    return {**whole, "f1_macro": report["macro avg"]["f1-score"], **each}


@pytest.mark.parametrize("letters", ["BI", "BIES"])
def test_figures_are_those_of_seqeval(letters):
    random = Random(0)
    for rows in [3] * 20 + [30] * 5:
        expected, found = random_rows(random, letters, rows)
        assert figures((expected, found)) == pytest.approx(seqevals(expected, found), abs=1e-12), (expected, found)


def test_a_type_that_the_training_rows_lack_is_an_error_in_all_figures():
    expected = [["B-a", "I-new", "O", "B-newer"], ["B-d", "S-new"]]
    found = [["B-a", "O", "O", "B-a"], ["B-d", "O"]]
    wanted = {name: value for name, value in seqevals(expected, found).items() if name != "f1/new"}
    assert figures((expected, found)) == pytest.approx(wanted)
    assert 0 < wanted["f1_macro"] < wanted["f1"] < 1


def test_figures_by_hand():
    expected = [["B-a", "I-a", "O", "B-d"], ["B-d", "O"]]
    found = [["B-a", "I-a", "O", "B-a"], ["B-d", "O"]]
    whole = dict.fromkeys(("precision", "recall", "f1", "f1_macro"), 2 / 3)
    assert figures((expected, found)) == {**whole, "f1/a": 2 / 3, "f1/b-c": 0.0, "f1/d": 2 / 3, "f1/never": 0.0}


def test_an_illegal_sequence_is_an_entity():
    assert figures(([["O", "I-a"]], [["O", "B-a"]]))["f1"] == 1.0


def test_where_there_is_nothing_figures_are_0():
    assert set(figures(([["O"]], [["O"]])).values()) == {0.0}


def test_parts_of_the_rows_on_two_ranks_give_the_same_figures():
    expected, found = random_rows(Random(2), "BI", 40)
    ranks = [SpanF1(TYPES), SpanF1(TYPES)]
    for row in range(40):
        ranks[row % 2].update(found[row : row + 1], expected[row : row + 1])
    one, other = ranks
    assert isinstance(one, Metric) and one._reductions["counts"].__name__ == "dim_zero_sum"
    one.counts += other.counts
    assert {name: float(value) for name, value in one.compute().items()} == figures((expected, found))
