"""A row of named entity recognition: the words of a text, and the entities among them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from framework import Row, Span, text_of, word_spans

from .schemes import OUTSIDE, Entity, entities, parse
from .spans import Placed, place


@dataclass(frozen=True)
class Sentence:
    """words: the characters of each, from and to. entities: None where the row has no tags. placed: how the spans of a row were placed."""

    text: str
    words: list[Span]
    entities: list[Entity] | None
    placed: Placed | None = None

    @property
    def tokens(self) -> list[str]:
        return [self.text[begin:end] for begin, end in self.words]

    def span(self, entity: Entity) -> dict[str, Any]:
        """An entity by the characters of the text."""
        begin, end = self.words[entity.start][0], self.words[entity.end - 1][1]
        return {"text": self.text[begin:end], "start": begin, "end": end, "type": entity.type}


def sentence(row: Row, pattern: str | None = None) -> Sentence:
    """Parses a row of tokens and tags, or of a text and spans. ValueError: it is neither."""
    return _of_text(row, pattern) if "tokens" not in row and "text" in row else _of_tokens(row)


def spaced(parsed: Sentence) -> Sentence:
    """The same words, separated by one space."""
    return _joined(parsed.tokens, parsed.entities)


def _joined(tokens: Sequence[str], tagged: list[Entity] | None) -> Sentence:
    ends = [*accumulate(len(token) + 1 for token in tokens)]
    return Sentence(" ".join(tokens), [(end - 1 - len(token), end - 1) for token, end in zip(tokens, ends, strict=True)], tagged)


def _of_tokens(row: Row) -> Sentence:
    tokens, tags = _list(row, "tokens"), _list(row, "tags") if row.get("tags") is not None else None
    for token in tokens:
        if not isinstance(token, str):
            raise ValueError(f"the token {token!r} is of type {type(token).__name__}: write it as text")
    text_of({"tokens": " ".join(tokens)}, "tokens")  # ValueError: half a character
    if tags is None:
        return _joined(tokens, None)
    if len(tags) != len(tokens):
        raise ValueError(f"{len(tokens)} tokens and {len(tags)} tags: write one for each token")
    for tag in tags:
        if not isinstance(tag, str):
            raise ValueError(f"the tag {tag!r} is of type {type(tag).__name__}; tags are written out: O, B-person")
    tags = [tag.strip() for tag in tags]
    for number, (token, tag) in enumerate(zip(tokens, tags, strict=True)):
        if tag != OUTSIDE and not token.strip():
            raise ValueError(
                f"token {number} is {token!r} and has the tag {tag!r}: a token without characters can have no entity: remove it, or write O"
            )
    return _joined(tokens, entities(map(parse, tags)))


def _list(row: Row, column: str) -> Sequence[Any]:
    if isinstance(row[column], (list, tuple)):
        return row[column]
    raise ValueError(
        f"{column} is {str(row[column])[:40]!r}, of type {type(row[column]).__name__}; it must be a list with an entry for each token"
    )


def _of_text(row: Row, pattern: str | None) -> Sentence:
    text = text_of(row)
    words = word_spans(text, pattern)
    if row.get("spans") is None:
        return Sentence(text, words, None)
    placed = place(_list(row, "spans"), text, words)
    return Sentence(text, words, placed.entities, placed)
