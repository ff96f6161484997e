"""The word-by-word baseline reads a bounded part of its pairs."""

import numpy as np
import pytest

from plugins.translation import lexicon
from plugins.translation.baseline import learn_lexicon


def test_a_pair_of_many_words_is_read_by_its_first_words(monkeypatch):
    monkeypatch.setattr(lexicon, "LONGEST", 3)
    pair = (["a", "b", "c", *"d" * 10_000], ["x", "y", "z", *"w" * 10_000])
    assert learn_lexicon([pair, (["a"], ["x"]), (["b"], ["y"])]) == {"a": "x", "b": "y", "c": "z"}


def test_pairs_are_read_until_they_have_as_many_links_as_are_counted(monkeypatch):
    monkeypatch.setattr(lexicon, "LINKS", 8)
    pairs = iter([(["a", "b"], ["x", "y"]), (["a"], ["x"]), (["late", "later"], ["z", "z"]), (["never"], ["read"])])
    assert set(learn_lexicon(pairs)) == {"a", "b"}
    assert next(pairs)[0] == ["never"]


@pytest.mark.parametrize("words", [10_000])
def test_one_pair_of_many_words_needs_little_memory(words, monkeypatch):
    sizes = []
    tile = np.tile
    monkeypatch.setattr(np, "tile", lambda array, times: sizes.append(len(array) * times) or tile(array, times))
    learn_lexicon([([f"a{number}" for number in range(words)], [f"b{number}" for number in range(words)])])
    assert max(sizes) <= lexicon.LONGEST**2
