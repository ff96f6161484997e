"""The table of other tools' words: every answer is an option of ours, and no word is one itself."""

import re

import pytest

from framework.config import catalogue as index
from framework.config.other_words import MEANT, meant


def option(path: str) -> bool:
    """Whether a key is an option of some part, or of a callback or tracker."""
    known = index.load()
    *above, last = path.split(".")
    if above and above[0] in ("callbacks", "logger"):
        kind, above = {"callbacks": "callback", "logger": "tracker"}[above[0]], []
        return any(last in entry["fields"] for entry in known.options[kind].values())
    if path.startswith("data.columns."):
        return any(path.split(".")[2] in entry["declarations"].get("columns", ()) for entry in known.options["format"].values())
    kind = known.kind_at("/".join(above))
    return any(last in entry["fields"] for entry in known.options.get(kind, {}).values())


@pytest.mark.parametrize("way", sorted({way for ways in MEANT.values() for way in ways}))
def test_every_answer_is_an_option(way):
    for word in way.split():
        if "=" in word:
            group, _, name = word.partition("=")
            assert index.load().has(str(index.load().kind_at(group)), name)
        else:
            assert word in ("name", "resume", "seed") or index.load().kind_at(word) or option(word), word


@pytest.mark.parametrize(
    ("key", "present", "wanted"),
    [
        ("lr", (), "optimizer.lr=1"),
        ("trainer.lr", (), "optimizer.lr=1"),
        ("optimizer.lr", (), None),
        ("--hidden-size", (), "model.dim=1"),
        ("Batch_Size", (), "data/batches=rows data.batches.rows=1"),
        ("batch_size", ("data.batches.rows",), "data.batches.rows=1"),
        ("model.nothing", (), None),
    ],
)
def test_a_word_is_looked_up_at_the_end_of_a_key(key, present, wanted):
    assert meant(key, present, "1") == wanted


def test_a_word_stands_once():
    from framework.config.other_words import _MEANT

    words = [word for line in _MEANT.values() for word in line.split()]
    assert len(words) == len(set(words)) and all(re.fullmatch("[a-z0-9_]+", word) for word in words)


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("trainer.fp16", "true", "trainer.precision=16-mixed"),
        ("bf16", "True", "trainer.precision=bf16-mixed"),
        ("bf16", "false", "trainer.precision=32-true"),
        ("no_cuda", "true", "trainer.accelerator=cpu"),
        ("mixed_precision", "bf16-mixed", "trainer.precision=bf16-mixed"),
        ("early_stopping", "5", "callbacks.early_stopping.patience=5"),
    ],
)
def test_flags_become_values_of_our_options(key, value, wanted):
    assert meant(key, (), value) == wanted
