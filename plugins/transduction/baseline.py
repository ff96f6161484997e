"""Baseline of transduction: the output of the training rows whose inputs end most alike."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from framework import Row, text_of

SUFFIX = 8  # words at the end of an input that are compared at most
NO_INPUT = ()


def longest_suffix(train: Iterable[Row], test: Iterable[Row]) -> Iterator[tuple[Row, str]]:
    """Each test row with the commonest output of the training rows that share the longest suffix with its input."""
    outputs: dict[tuple[str, ...], Counter[str]] = {}
    for row in train:
        for suffix in _suffixes(row):
            outputs.setdefault(suffix, Counter())[text_of(row, "output")] += 1
    commonest = {suffix: counts.most_common(1)[0][0] for suffix, counts in outputs.items()}
    for row in test:
        yield row, next((commonest[suffix] for suffix in _suffixes(row) if suffix in commonest), "")


def compared(row: Row, output: str) -> dict[str, Any]:
    """The numbers of an output's words that are right, and of all that are predicted, the end among them; given words are not.

    A task counts tokens, which are words with tokenizer=words alone: with another one, exact matches compare, the shares of tokens do not.
    """
    given = set(row.get("given") or ())
    reference, words = [*row["output"].split(), None], [*output.split(), None]
    places = [place for place in range(len(reference)) if place not in given]
    return {"right": sum(words[place : place + 1] == [reference[place]] for place in places), "tokens": len(places)}


def _suffixes(row: Row) -> Iterator[tuple[str, ...]]:
    """Suffixes of the input, the longest first."""
    words = tuple(text_of(row, "input").split())
    yield from (words[-length:] for length in range(min(SUFFIX, len(words)), 0, -1))
    yield NO_INPUT
