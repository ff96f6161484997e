"""The built-in rows: the same every time, split for good, and not given away by a package's name."""

import ast
import inspect
import re
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from plugins.classification import builtin, builtin_functions
from plugins.classification.data import ClassificationFormat
from plugins.classification.labels import LabelsTarget
from plugins.classification.number import NumberTarget
from plugins.classification.pairs import PairsFormat

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


@pytest.fixture(scope="module")
def blanked():
    return {split: list(builtin_functions.blanked(split)) for split in ("train", "validation", "test")}


def test_functions_come_without_keywords_once_and_in_one_split(blanked):
    texts = Counter(text for rows in blanked.values() for text, _, _ in rows)
    assert len(texts) > 1000 and max(texts.values()) == 1
    for split, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        assert abs(len(blanked[split]) / len(texts) - share) < 0.02
    assert not [text for text in texts if re.search(r"\b(if|for|return|raise|def|with)\b", text)]


def test_functions_know_what_is_in_them(tmp_path):
    path = tmp_path / "sample.py"
    path.write_text(
        'def f(x):\n    """What it does."""\n    for y in x:\n        if not y:\n            raise ValueError(y)\n    return x\n'
    )
    (function,) = builtin_functions._functions_of(path)
    assert function.code == "def f(x):\n    for y in x:\n        if not y:\n            raise ValueError(y)\n    return x"
    assert function.docstring == "What it does."
    text, kinds, statements = builtin_functions.blank(function)
    assert text == "_ f(x): _ y in x: _ not y: _ ValueError(y) _ x"
    assert (kinds, statements) == (["for", "if", "raise", "return"], 4)


def test_halves_of_a_function_stand_in_order_or_are_swapped(monkeypatch):
    code = "def f(\n    x,\n):\n    a = 1\n\n    b = {x}\n    c = 3\n    return a"
    bodies = [code.replace("{x}", str(number)) for number in range(200)]
    functions = [builtin_functions.Function(text, "", ast.parse(text).body[0]) for text in bodies]
    monkeypatch.setattr(builtin_functions, "functions", lambda: functions)
    monkeypatch.setattr(builtin_functions, "_halves", inspect.unwrap(builtin_functions._halves))  # made, not read from the cache
    rows = [row for split in ("train", "validation", "test") for row in builtin_functions.halves(split)]
    assert len(rows) == 200 and 80 < sum(order == "swapped" for _, _, order in rows) < 120
    for first, second, order in rows:
        upper, lower = (first, second) if order == "in order" else (second, first)
        assert re.fullmatch(r"a = 1\nb = \d+", upper) and lower == "c = 3\nreturn a"


def test_each_target_offers_its_rows():
    (row,) = islice(LabelsTarget().builtin("test"), 1)
    assert isinstance(row["label"], list)
    (row,) = islice(NumberTarget().builtin("test"), 1)
    assert isinstance(row["label"], int)
    (row,) = islice(PairsFormat().builtin("test", 0), 1)
    assert row["label"] in ("in order", "swapped") and row["second"]
