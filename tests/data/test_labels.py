"""Labels of a run: their counts in a file, and what is remarked about them."""

import pytest

from framework.data.labels import alike, label_remarks, read_labels, unseen, write_labels

COUNTS = {"train": {"good": 2, " odd": 1, 'a,"b"\nc': 1}, "test": {"good": 1, "new": 3}}


def test_counts_are_read_as_written(tmp_path):
    write_labels(tmp_path / "labels.csv", COUNTS)
    assert read_labels(tmp_path / "labels.csv") == COUNTS
    assert (tmp_path / "labels.csv").read_text().splitlines()[:2] == ["label,train,test", " odd,1,0"]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [(COUNTS, {"test": ["new"]}), ({"test": {"new": 1}}, {}), ({"train": {"a": 1}, "validation": {"a": 1}}, {})],
    ids=["new", "no training rows", "none"],
)
def test_labels_that_training_lacks(counts, expected):
    assert unseen(counts) == expected


def test_labels_that_differ_by_blanks_or_case():
    assert alike({"train": {"so so": 1, "Soso": 2, "good": 1}, "test": {"good ": 1, "bad": 1}}) == [["Soso", "so so"], ["good", "good "]]


def test_remarks_count_and_name():
    one, two = label_remarks({"train": {"a": 1}, "test": {"A": 2, **{f"l{n}": 1 for n in range(20)}}}, most=3)
    assert "22 times: 'A', 'l0', 'l1' and 18 more" in one and "unseen_labels=refuse" in one
    assert two.endswith("'A' (2), 'a' (1)")
    assert not list(label_remarks({}))
