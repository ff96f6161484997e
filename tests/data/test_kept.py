"""Rows that are made once and kept in the cache folder."""

import pytest

from framework import kept_on_disk
from framework.data import fingerprints, kept


@pytest.fixture
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PLUGFORMER_CACHE", str(tmp_path))
    return tmp_path


def counted():
    """A decorated function and its calls."""
    calls = []

    def make(*arguments):
        calls.append(arguments)
        return ((word, [number], "\udc80 ☃\n") for number, word in enumerate(arguments))

    return kept_on_disk(make), calls


def test_rows_are_made_once_and_read_by_the_next_process(cache_folder):
    first, calls = counted()
    assert first("a", "b") == first("a", "b") == (["a", [0], "\udc80 ☃\n"], ["b", [1], "\udc80 ☃\n"])
    assert first("b", "a") != first("a", "b") and calls == [("a", "b"), ("b", "a")]
    second, later = counted()  # as another process: nothing in memory
    assert second("a", "b") == first("a", "b") and later == []


@pytest.mark.parametrize("change", ["python", "code"])
def test_rows_are_made_again(cache_folder, monkeypatch, change):
    first, _ = counted()
    first("a")
    if change == "python":
        monkeypatch.setattr(kept.sys, "version", "4.0")
    else:
        monkeypatch.setattr(kept, "code_of", lambda thing: fingerprints.digest("another"))
    second, calls = counted()
    assert second("a") == first("a") and calls == [("a",)]


def test_nothing_is_kept_of_a_failure(cache_folder):
    def fails():
        yield "a"
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        kept_on_disk(fails)()
    assert not list(cache_folder.rglob("rows.jsonl"))
