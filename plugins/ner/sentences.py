"""A row of named entity recognition: the words of a text, and the entities among them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from framework import Row, Span, text_of

from .schemes import OUTSIDE, Entity, entities, parse

WORD = r"(?:https?://|www\.)\S+|[@#]?\w+|[^\w\s]"  # URLs, @names and #tags, words; any other character alone


@dataclass(frozen=True)
class Sentence:
    """words: the characters of each, from and to. entities: None where the row has no tags."""

    text: str
    words: list[Span]
    entities: list[Entity] | None

    @property
    def tokens(self) -> list[str]:
        return [self.text[begin:end] for begin, end in self.words]

    def span(self, entity: Entity) -> dict[str, Any]:
        """An entity by the characters of the text."""
        begin, end = self.words[entity.start][0], self.words[entity.end - 1][1]
        return {"text": self.text[begin:end], "start": begin, "end": end, "type": entity.type}


def sentence(row: Row, pattern: str = WORD) -> Sentence:
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


def _of_text(row: Row, pattern: str) -> Sentence:
    text, spans = text_of(row), row.get("spans")
    words = [match.span() for match in re.finditer(pattern, text) if match[0]]
    if spans is None:
        return Sentence(text, words, None)
    ordered = sorted(_entity(span, text, words) for span in _list(row, "spans"))
    for one, other in zip(ordered, ordered[1:], strict=False):
        if other.start < one.end:
            first, second = (text[words[entity.start][0] : words[entity.end - 1][1]] for entity in (one, other))
            raise ValueError(
                f"the spans {first!r} and {second!r} share a word, and a word has one tag (words are matches of task.format.word_pattern)"
            )
    return Sentence(text, words, ordered)


def _entity(span: Any, text: str, words: Sequence[Span]) -> Entity:
    """The words that a span overlaps: one that ends inside a word takes all of it."""
    wanted = '{"start": 0, "end": 5, "label": "person"}'
    if not isinstance(span, dict) or not isinstance(span.get("label"), str) or not span["label"]:
        raise ValueError(f"the span {span!r} is not like {wanted}")
    start, end = span.get("start"), span.get("end")
    if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start < end <= len(text):
        raise ValueError(f"the span {span!r} is not like {wanted}, with 0 <= start < end <= {len(text)}, the characters of the text")
    overlapped = [number for number, (begin, stop) in enumerate(words) if begin < end and start < stop]
    if not overlapped:
        raise ValueError(f"the span {span!r} has no word, only {text[start:end]!r}")
    return Entity(overlapped[0], overlapped[-1] + 1, span["label"])
