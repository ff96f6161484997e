"""Entities given by the characters of a text, as entities of its words."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from framework import Span

from .schemes import Entity

WANTED = '{"start": 0, "end": 5, "label": "person"}'
INVISIBLE = "\u200b\u200e\u200f\u2060\ufeff"  # characters that `str.strip` leaves at the ends of a text


class Placed(NamedTuple):
    """entities: in their order. inexact: number of those with other characters than their span, which ends inside a word.
    lost: number of spans without an entity: they have no word, or share one with another span, and a word has one tag."""

    entities: list[Entity]
    inexact: int = 0
    lost: int = 0


def place(spans: Iterable[Any], text: str, words: Sequence[Span]) -> Placed:
    """The entity of each span: all words that it overlaps. Of spans that share a word the one of whole words is kept, then the longest,
    then the first. ValueError: a span is malformed or lies outside of the text."""
    starts, ends = [start for start, _ in words], [end for _, end in words]
    distinct = dict.fromkeys(_checked(span, text) for span in spans)
    found: list[tuple[bool, int, Entity]] = []
    for start, end, label in distinct:
        first, last = bisect_right(ends, start), bisect_left(starts, end)
        if first < last:
            exact = _visible(text[start:end]) == _visible(text[starts[first] : ends[last - 1]])
            found.append((not exact, start - end, Entity(first, last, label)))
    kept = _disjoint(sorted(found))
    return Placed(sorted(entity for _, _, entity in kept), sum(inexact for inexact, _, _ in kept), len(distinct) - len(kept))


def _disjoint(found: Iterable[tuple[bool, int, Entity]]) -> list[tuple[bool, int, Entity]]:
    kept, taken = [], set[int]()
    for each in found:
        words = range(each[2].start, each[2].end)
        if taken.isdisjoint(words):
            taken.update(words)
            kept.append(each)
    return kept


def _visible(text: str) -> str:
    return text.strip().strip(INVISIBLE)


def _checked(span: Any, text: str) -> tuple[int, int, str]:
    if not isinstance(span, dict) or not isinstance(span.get("label"), str) or not span["label"]:
        raise ValueError(f"the span {span!r} is not like {WANTED}")
    start, end = span.get("start"), span.get("end")
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
        raise ValueError(f"the span {span!r} is not like {WANTED}, with 0 <= start < end <= {len(text)}, the characters of the text")
    return start, end, span["label"]
