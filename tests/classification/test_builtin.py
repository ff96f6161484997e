"""The built-in rows: the same every time, split for good, and not given away by a package's name."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from plugins.classification import builtin
from plugins.classification.data import ClassificationFormat

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def splits():
    return {split: [(row["text"], row["label"]) for row in builtin.rows(split)] for split in ("train", "validation", "test")}


def test_another_process_finds_the_same_rows_in_the_same_order(splits):
    program = "from plugins.classification import builtin; print(repr([(row['text'], row['label']) for row in builtin.rows('test')]))"
    other = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert ast.literal_eval(other) == splits["test"]


def test_no_text_occurs_twice_within_or_across_splits(splits):
    texts = Counter(text for rows in splits.values() for text, _ in rows)
    assert texts and max(texts.values()) == 1


def test_a_tenth_each_is_kept_for_validation_and_test(splits):
    total = sum(map(len, splits.values()))
    assert total > 2000
    for split in ("validation", "test"):
        assert 0.08 < len(splits[split]) / total < 0.12


def test_a_text_keeps_its_split_whatever_else_is_there():
    # SHA-256 begins with 0x3e, 0x1b and 0x18: the third, second and first tenth.
    assert [builtin.split_of(text) for text in "bnd"] == ["train", "validation", "test"]


def test_every_package_occurs_in_every_split(splits):
    packages = {label for _, label in splits["train"]}
    assert len(packages) == builtin.PACKAGES
    assert all({label for _, label in rows} == packages for rows in splits.values())


def test_no_text_names_a_package(splits):
    packages = {label for _, label in splits["train"]}
    assert not [text for rows in splits.values() for text, _ in rows if any(package in text.lower() for package in packages)]


def test_pieces_of_a_file_are_docstrings_and_functions_without_one(tmp_path):
    path = tmp_path / "sample.py"
    path.write_text(
        '"""The module."""\nclass A:\n    """The class."""\n    def f(self):\n        return 1\ndef g():\n    """The function."""\nx = 1\n'
    )
    assert sorted(builtin._pieces(path)) == ["The class.", "The function.", "The module.", "def f(self):\n    return 1"]


def test_a_file_that_is_no_python_has_no_pieces(tmp_path):
    (tmp_path / "broken.py").write_text("def f(:\n")
    assert list(builtin._pieces(tmp_path / "broken.py")) == []


def test_the_format_offers_the_rows_whatever_the_seed(splits):
    first, second = ([(row["text"], row["label"]) for row in ClassificationFormat().builtin("validation", seed)] for seed in (0, 1))
    assert first == second == splits["validation"]
