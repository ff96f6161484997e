"""Words in, tags out: the rows of named entity recognition."""

import re
from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Any, ClassVar, Literal

import torch

from framework.data.formats import Batch, Features, Format, Row, TextTokenizer
from framework.data.padding import pad, padding_mask
from framework.data.spec import DataSpec
from framework.data.tokenization.alignment import NO_WORD, best_windows, token_windows, tokenize_words
from framework.errors import UserError
from framework.registry import register

from .baseline import figures
from .builtin import rows
from .schemes import OUTSIDE, Scheme, entities, parse, tags_of, write
from .sentences import WORD, Sentence, sentence, spaced


@register("format")
class NerFormat(Format):
    """Tokens, and a tag for each: IOB1, IOB2, IOBES or BILOU.

    scheme: the tags that the model learns, whatever the data's are. IOBES also marks the last word, and words alone.
    pieces: which pieces speak for a word: its first, its last, or all (their mean).
    overlap: pieces that neighboring windows share, where a text is longer than the model.
    word_pattern: a regular expression of a word, for texts that are not split into tokens.
    """

    columns = ("tokens", "tags")
    optional = ("tags",)
    provides: ClassVar[Any] = {"whole_words": "pieces != 'first'"}

    def __init__(
        self,
        scheme: Scheme = "iob2",
        pieces: Literal["first", "last", "all"] = "first",
        overlap: int = 32,
        word_pattern: str = WORD,
    ):
        try:
            re.compile(word_pattern)
        except re.error as error:
            raise UserError(f"task.format.word_pattern={word_pattern}: not a regular expression: {error}") from None
        if overlap < 0:
            raise UserError(f"task.format.overlap={overlap}: at least 0")
        self.scheme, self.pieces, self.overlap, self.word_pattern = scheme, pieces, overlap, word_pattern

    def read(self, row: Row) -> Sentence:
        return sentence(row, self.word_pattern)

    def from_text(self, text: str) -> Row:
        return {"text": text}

    def shown(self, read: Sentence) -> Sentence:
        """What the model reads: a blank between tokens, also where somebody typed a text, so that both look alike."""
        return spaced(read)

    def tokenizer_texts(self, row: Row) -> Iterable[str]:
        yield self.shown(self.read(row)).text

    def fit(self, rows: Iterable[Row]) -> dict[str, Any]:
        types: set[str] = set()
        for row in rows:
            types.update(entity.type for entity in _entities(self.read(row)))
        if not types:
            raise ValueError("no row has an entity: there is nothing to learn but O")
        return {"labels": tuple(sorted(types)), "scheme": self.scheme, "pieces": self.pieces, "word_pattern": self.word_pattern}

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features | None:
        """ids of the pieces and the word of each; how many words; their tags if the row has them. None: there is no word."""
        self._room(spec)  # which may be none: said before anything is trained
        read = self.shown(self.read(row))
        if not read.words:
            return None
        ids, owners = tokenize_words(read.text, read.words, tokenizer)
        features: Features = {"ids": ids, "word": owners, "words": len(read.words)}
        if read.entities is not None:
            for entity in read.entities:
                if entity.type not in spec.labels:
                    raise ValueError(f"the type {entity.type!r} does not occur in the training rows; they have {', '.join(spec.labels)}")
            spoken = set(owners)
            tags = write(read.entities, len(read.words))
            heard = [parse(tag if word in spoken else OUTSIDE) for word, tag in enumerate(tags)]
            numbers = {tag: number for number, tag in enumerate(tags_of(spec.labels, self.scheme))}
            features["tags"] = [numbers[tag] for tag in write(entities(heard), len(read.words), self.scheme)]
        return features

    def length(self, features: Features) -> int:
        return len(features["ids"]) + 2

    def collate(self, features: Sequence[Features], spec: DataSpec, random: Random) -> Batch:
        """ids, padding_mask (R, T): a window each, of which a long text has several. word (R, T): which of the batch's B x W words a piece
        belongs to, B x W for none; speaks (R, T): whether it speaks for it, which it does in one window. words (B,), tags (B, W)."""
        begin, end, room = self._room(spec)
        most = max(row["words"] for row in features)
        none = len(features) * most
        ids, words, speaks = [], [], []  # a list for each window
        for number, row in enumerate(features):
            pieces, owners = row["ids"], row["word"]
            spans = token_windows(len(pieces), room, self.overlap)
            home = best_windows(owners, spans) if len(spans) > 1 else {}
            voices = self._voices(owners)
            for window, (start, stop) in enumerate(spans):
                mine = range(start, stop)
                ids.append([*begin, *pieces[start:stop], *end] or [spec.padding])
                words.append([none] * len(begin) + [none if owners[i] == NO_WORD else number * most + owners[i] for i in mine])
                speaks.append([False] * len(begin) + [voices[i] and home.get(owners[i], 0) == window for i in mine])
        batch: Batch = {
            "ids": pad(ids, spec.padding),
            "padding_mask": padding_mask(ids),
            "word": pad(words, none, length=max(map(len, ids))),
            "speaks": pad(speaks, False, length=max(map(len, ids))),
            "words": torch.tensor([row["words"] for row in features]),
        }
        if all("tags" in row for row in features):
            batch["tags"] = pad([row["tags"] for row in features], 0)
        return batch

    def _room(self, spec: DataSpec) -> tuple[list[int], list[int], int]:
        """What frames a window, and how many pieces it has room for."""
        begin = [] if spec.begin is None else [spec.begin]
        end = [] if spec.end is None else [spec.end]
        room = spec.max_length - len(begin) - len(end)
        if self.overlap >= room:
            raise UserError(
                f"task.format.overlap={self.overlap}: a window of {room} pieces (model.max_length={spec.max_length}) has to go on by one"
            )
        return begin, end, room

    def _voices(self, owners: Sequence[int]) -> list[bool]:
        """Whether each piece speaks for its word."""
        if self.pieces == "all":
            return [word != NO_WORD for word in owners]
        neighbors = ([NO_WORD, *owners] if self.pieces == "first" else [*owners[1:], NO_WORD])[: len(owners)]
        return [word not in (NO_WORD, neighbor) for word, neighbor in zip(owners, neighbors, strict=True)]

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """Python source with its names tagged by `ast`. The split does not depend on the seed."""
        return rows(split)

    def baseline(self, train: Iterable[Row], test: Iterable[Row]) -> dict[str, float]:
        """The most frequent tag of each word."""
        return figures(map(self.read, train), map(self.read, test))


@register("format")
class NerSpansFormat(NerFormat):
    """Texts, and the characters of their entities: spans = [{"start": 0, "end": 5, "label": "person"}, ...].

    scheme: the tags that the model learns. IOBES also marks the last word, and words alone.
    pieces: which pieces speak for a word: its first, its last, or all (their mean).
    overlap: pieces that neighboring windows share, where a text is longer than the model.
    word_pattern: a regular expression of a word; a span that ends inside a word takes all of it.
    """

    columns = ("text", "spans")
    optional = ("spans",)

    def shown(self, read: Sentence) -> Sentence:
        """The text as it is."""
        return read


def _entities(read: Sentence) -> list[Any]:
    if read.entities is None:
        raise ValueError("the row has no tags")
    return read.entities
