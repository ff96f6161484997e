"""Entities as tags, one a word: IOB1, IOB2, IOBES, BILOU.

A tag is a letter and a type (B-person), or O. However a data set writes them, all are read alike, as conlleval reads them
(Tjong Kim Sang and De Meulder 2003, section 2.2, https://aclanthology.org/W03-0419): an entity goes on as long as the next tag
says so, and begins wherever something begins, also at an I where the scheme wants a B.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

Scheme = Literal["iob2", "iobes"]
OUTSIDE = "O"
LETTERS = {"B": "B", "I": "I", "E": "E", "S": "S", "M": "I", "L": "E", "U": "S", "W": "S"}  # BILOU's and BMEW's too


class Entity(NamedTuple):
    """Words `start` to `end` (not included) and what they name."""

    start: int
    end: int
    type: str


class Tag(NamedTuple):
    letter: str  # O, B, I, E or S
    type: str

    def __str__(self) -> str:
        return f"{self.letter}-{self.type}" if self.type else OUTSIDE


def parse(tag: str) -> Tag:
    """ValueError: no tag."""
    letter, dash, type = tag.partition("-")
    if tag == OUTSIDE:
        return Tag(OUTSIDE, "")
    if letter not in LETTERS or not dash or not type:
        raise ValueError(f"{tag!r} is no tag: O, or a letter ({', '.join(LETTERS)}), a dash and a type, such as B-person")
    return Tag(LETTERS[letter], type)


def entities(tags: Iterable[Tag]) -> list[Entity]:
    """The entities of any scheme, illegal sequences included, as conlleval reads them."""
    found: list[Entity] = []
    before, start, place = Tag(OUTSIDE, ""), 0, 0
    for place, tag in enumerate([*tags, Tag(OUTSIDE, "")]):
        goes_on = tag.letter in "IE" and before.letter in "BI" and tag.type == before.type
        if not goes_on:
            if before.letter != OUTSIDE:
                found.append(Entity(start, place, before.type))
            start = place
        before = tag
    return found


def strict_entities(tags: Sequence[Tag], scheme: Scheme) -> list[Entity]:
    """The entities that are written as the scheme wants them, whole; nothing else is one."""
    found: list[Entity] = []
    place = 0
    while place < len(tags):
        first = tags[place]
        end = place + 1
        if first.letter not in "BS":
            place = end
            continue
        while first.letter == "B" and end < len(tags) and tags[end].letter in "IE" and tags[end].type == first.type:
            end += 1
            if tags[end - 1].letter == "E":
                break
        if scheme == "iob2" or tags[end - 1].letter in "ES":
            found.append(Entity(place, end, first.type))
        place = end
    return found


def write(found: Iterable[Entity], words: int, scheme: Scheme = "iob2") -> list[str]:
    """The tags of entities that do not overlap."""
    tags = [OUTSIDE] * words
    for start, end, type in found:
        letters = ["B", *"I" * (end - start - 1)]
        if scheme == "iobes":
            letters[-1] = "E" if end - start > 1 else "S"
        tags[start:end] = [f"{letter}-{type}" for letter in letters]
    return tags


def tags_of(types: Iterable[str], scheme: Scheme) -> tuple[str, ...]:
    """Every tag of a scheme; O is the first."""
    letters = {"iob2": "BI", "iobes": "BIES"}[scheme]
    return (OUTSIDE, *(f"{letter}-{type}" for type in types for letter in letters))


def may_follow(before: Tag, after: Tag, scheme: Scheme) -> bool:
    """Whether a tag may stand behind another. A text begins and ends as if O stood outside it."""
    if after.letter in "IE":
        return before.letter in "BI" and before.type == after.type
    return scheme == "iob2" or before.letter not in "BI"
