"""Functions and what they do: nothing of the docstring is left in the code, files are split for good."""

import ast

import pytest

from plugins.summarization import builtin
from plugins.summarization.data import SummarizationFormat

SOURCE = '''
class Box:
    @property
    def size(self):
        """Return the number of things.  It counts
        them all.

        More about it.
        """
        # one by one
        return len(self.things)

    async def wait(self): "Wait until it is full."; pass

def old():
    """old(x) -> int

    From a time long ago."""

def short():
    """Constructor."""

def bare():
    """Say what the name says"""

def none():
    return """Return what is no docstring."""
'''


@pytest.fixture(scope="module")
def splits() -> dict[str, list[dict[str, str]]]:
    return {split: list(SummarizationFormat().builtin(split, seed=0)) for split in ("train", "validation", "test")}


def test_code_and_sentence(tmp_path) -> None:
    code = "@property\ndef size(self):\n    # one by one\n    return len(self.things)"
    (tmp_path / "module.py").write_text(SOURCE)
    assert sorted(builtin.functions(tmp_path / "module.py")) == [
        (code, "Return the number of things."),
        ("def bare():", "Say what the name says"),
    ]


def test_what_is_no_python_has_no_functions(tmp_path) -> None:
    (tmp_path / "module.py").write_text("def f(:\n")
    assert list(builtin.functions(tmp_path / "module.py")) == []


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("One. Two.", "One."),
        ("Is it? Yes", "Is it?"),
        ("See e.g. this one, version 3.11 or so.\nMore", "See e.g. this one, version 3.11 or so."),
        ("Two\n lines\n\nand more.", "Two lines"),
    ],
)
def test_the_first_sentence(docstring: str, sentence: str) -> None:
    assert builtin.first_sentence(docstring) == sentence


def test_the_parts_share_no_code(splits: dict[str, list[dict[str, str]]]) -> None:
    documents = [row["document"] for rows in splits.values() for row in rows]
    assert len(set(documents)) == len(documents) > 3000
    for split in ("validation", "test"):
        assert 0.05 < len(splits[split]) / len(documents) < 0.2


def test_no_file_is_in_two_parts_or_fills_one() -> None:
    sizes: dict[str, dict[str, int]] = {}
    for path, _, _ in builtin._functions():
        part = sizes.setdefault(builtin.split_of(path), {})
        part[path] = part.get(path, 0) + 1
    assert all(max(sizes[part].values()) < 0.25 * sum(sizes[part].values()) for part in ("validation", "test"))


def test_no_docstring_is_left() -> None:
    for path, code, summary in builtin._functions():
        if builtin.split_of(path) == "test":
            assert summary not in code
            try:
                function = ast.parse(code).body[0]
            except SyntaxError:  # nothing but comments is left of it
                continue
            assert ast.get_docstring(function) is None


def test_so_many_lines_are_shown(splits: dict[str, list[dict[str, str]]]) -> None:
    assert {row["document"].count("\n") for row in splits["test"]} == {0, 1, 2}
    assert {row["document"].count("\n") for row in SummarizationFormat(builtin_lines=1).builtin("test", 0)} == {0}


def test_every_seed_has_the_same_rows(splits: dict[str, list[dict[str, str]]]) -> None:
    assert list(SummarizationFormat().builtin("validation", 1)) == splits["validation"]
