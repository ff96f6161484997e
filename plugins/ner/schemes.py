"""Tagging schemes: IOB1, IOB2, IOBES, BILOU.

A tag is a letter and a type (B-person), or O. Tags of every scheme are parsed as by conlleval
(Tjong Kim Sang and De Meulder 2003, section 2.2, https://aclanthology.org/W03-0419): an entity continues as long as the next tag
does, and begins at any other tag but O, also at an I where the scheme demands a B.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

Scheme = Literal["iob2", "iobes"]
OUTSIDE = "O"
LETTERS = {"B": "B", "I": "I", "E": "E", "S": "S", "M": "I", "L": "E", "U": "S", "W": "S"}  # BILOU's and BMEW's too


class Entity(NamedTuple):
    """Words `start` to `end` (exclusive) and their type."""

    start: int
    end: int
    type: str


class Tag(NamedTuple):
    letter: str  # O, B, I, E or S
    type: str

    def __str__(self) -> str:
        return f"{self.letter}-{self.type}" if self.type else OUTSIDE


def parse(tag: str) -> Tag:
    """ValueError: the text is no tag."""
    letter, dash, type = tag.partition("-")
    if tag == OUTSIDE:
        return Tag(OUTSIDE, "")
    if letter not in LETTERS or not dash or not type:
        raise ValueError(f"{tag!r} is no tag: write O, or a letter ({', '.join(LETTERS)}), a dash and a type, such as B-person")
    return Tag(LETTERS[letter], type)


def entities(tags: Iterable[Tag]) -> list[Entity]:
    """The entities of any scheme, illegal sequences included, as parsed by conlleval."""
    parsed: list[Entity] = []
    before, start, place = Tag(OUTSIDE, ""), 0, 0
    for place, tag in enumerate([*tags, Tag(OUTSIDE, "")]):
        continues = tag.letter in "IE" and before.letter in "BI" and tag.type == before.type
        if not continues:
            if before.letter != OUTSIDE:
                parsed.append(Entity(start, place, before.type))
            start = place
        before = tag
    return parsed


def write(spans: Iterable[Entity], words: int, scheme: Scheme = "iob2") -> list[str]:
    """The tags of entities that do not overlap."""
    tags = [OUTSIDE] * words
    for start, end, type in spans:
        letters = ["B", *"I" * (end - start - 1)]
        if scheme == "iobes":
            letters[-1] = "E" if end - start > 1 else "S"
        tags[start:end] = [f"{letter}-{type}" for letter in letters]
    return tags


def tags_of(types: Iterable[str], scheme: Scheme) -> tuple[str, ...]:
    """All tags of a scheme; O is the first."""
    letters = {"iob2": "BI", "iobes": "BIES"}[scheme]
    return (OUTSIDE, *(f"{letter}-{type}" for type in types for letter in letters))


def may_follow(before: Tag, after: Tag, scheme: Scheme) -> bool:
    """Whether a tag may follow another. Outside a text there is O."""
    if after.letter in "IE":
        return before.letter in "BI" and before.type == after.type
    return scheme == "iob2" or before.letter not in "BI"
