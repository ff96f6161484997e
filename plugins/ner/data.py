"""Formats of named entity recognition: words, and a tag for each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from random import Random
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from framework import (
    NO_WORD,
    Batch,
    DataSpec,
    FeatureRows,
    Features,
    Format,
    Row,
    TextTokenizer,
    UserError,
    is_word,
    pad,
    padding_mask,
    register,
    token_windows,
    tokenize_words,
    word_spans,
)

from .builtin import rows
from .linear import fold_of
from .schemes import OUTSIDE, Scheme, entities, parse, tags_of, write
from .sentences import Sentence, sentence, spaced
from .windows import Windows
from .word_features import FEATURES, word_features

CHARACTERS = r"task.format.word_pattern='\X'"  # the override that makes each character a word
RESPLIT = 0.05  # share of tokens that are several words where a text is typed, from which on a run says so


@register("format")
class NerFormat(Format):
    """Tokens, and a tag for each: IOB1, IOB2, IOBES or BILOU.

    scheme: the tags that the model learns, whatever the data's are. IOBES also marks the last word of an entity, and single words.
    pieces: the subwords that represent a word: its first, its last, or all (their mean).
    overlap: subwords that neighboring windows share, where a text is longer than the model.
    word_pattern: a regular expression (of the package `regex`) of a word, for texts that are not split into tokens; \\X = each character.
        null = Unicode's words, and each character in scripts without blanks.
    max_windows: windows of a text at most; a longer text is refused, because one step would not end.
    unseen_labels: count types that only validation or test rows have as errors of the model (its loss takes their words as O), or refuse
        them.
    max_inexact: share of the spans of a split that words cannot express (they end inside a word, or share one with another span), above
        which the data is refused.
    word_features: rows of the table that the linear tagger of the task has for features of words, which share them by their hashes; 0 = no
        linear tagger. 65,536 are enough for a few thousand sentences.
    """

    columns = ("tokens", "tags")
    makes = ("ids", "padding_mask", "word_ids", "word_mask", "num_words", "tags")
    optional = ("tags",)
    rules: ClassVar[dict[str, str]] = {
        "overlap >= 0": "overlap must not be negative",
        "max_windows >= 1": "max_windows must be at least 1",
        "0 <= max_inexact <= 1": "max_inexact is a share, from 0 to 1",
        "0 <= word_features <= 2**24": "word_features must not be negative, and at most 2**24",
    }
    provides: ClassVar[Any] = {"whole_words": "pieces != 'first'"}

    def __init__(
        self,
        scheme: Scheme = "iob2",
        pieces: Literal["first", "last", "all"] = "first",
        overlap: int = 32,
        word_pattern: str | None = None,
        max_windows: int = 128,
        unseen_labels: Literal["count", "refuse"] = "count",
        max_inexact: float = 0.05,
        word_features: int = 0,
    ):
        try:
            word_spans("", word_pattern)
        except ValueError as error:
            raise UserError(f"task.format.word_pattern={error}") from None
        self.scheme, self.pieces, self.overlap, self.word_pattern = scheme, pieces, overlap, word_pattern
        self.max_windows, self.max_inexact, self.unseen_labels = max_windows, max_inexact, unseen_labels
        self.word_features = word_features

    def parse(self, row: Row) -> Sentence:
        return sentence(row, self.word_pattern)

    def from_text(self, text: str) -> Row:
        return {"text": text}

    def model_input(self, parsed: Sentence) -> Sentence:
        """The text that the tokenizer gets: a space between tokens, also where a text was typed, so that both are encoded alike."""
        return spaced(parsed)

    def tokenizer_texts(self, row: Row) -> Iterable[str]:
        """The parts of the text that are encoded one by one."""
        parsed = self.model_input(self.parse(row))
        cuts = [0, *(end for _, end in parsed.words), len(parsed.text)]
        return [parsed.text[start:end] for start, end in pairwise(cuts) if start < end]

    def fit(self, rows: Iterable[Row]) -> dict[str, Any]:
        types: set[str] = set()
        for row in rows:
            if (found := self.parse(row).entities) is None:
                raise ValueError("the row has no tags")
            types.update(entity.type for entity in found)
        if not types:
            raise ValueError("no training row has an entity")
        return {"labels": tuple(sorted(types))}

    def row_labels(self, row: Row) -> Sequence[str]:
        """The type of each entity."""
        return [entity.type for entity in self.parse(row).entities or ()]

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features | None:
        """ids of the subwords, word_ids: the word of each; num_words; tags, if the row has them. None: the row has no word."""
        _, _, room = self._frame(spec)  # UserError before anything is trained
        parsed = self.model_input(self.parse(row))
        if not parsed.words:
            return None
        ids, word_ids = tokenize_words(parsed.text, parsed.words, tokenizer)
        windows = len(token_windows(len(ids), room, self.overlap))
        if windows > self.max_windows:
            raise ValueError(
                f"the text has {len(ids):,} subwords, {windows:,} windows of model.max_length={spec.max_length}; "
                f"at most {self.max_windows} are allowed (task.format.max_windows): split the text into "
                "sentences, or choose a larger model.max_length"
            )
        features: Features = {"ids": ids, "word_ids": word_ids, "num_words": len(parsed.words)}
        if self.word_features:
            features["word_features"] = word_features(parsed.tokens, self.word_features).ravel().tolist()  # (W * K,)
            features["fold"] = fold_of(parsed.tokens)
        if parsed.entities is not None:
            aligned = set(word_ids)
            tags = write([entity for entity in parsed.entities if entity.type in spec.labels], len(parsed.words))
            learnable = [parse(tag if word in aligned else OUTSIDE) for word, tag in enumerate(tags)]
            numbers = {tag: number for number, tag in enumerate(tags_of(spec.labels, self.scheme))}
            features["tags"] = [numbers[tag] for tag in write(entities(learnable), len(parsed.words), self.scheme)]
        return features | {"@counts": self._counts(row, parsed)}

    def _counts(self, row: Row, parsed: Sentence) -> dict[str, int]:
        """Counts of what words cannot express: of spans, or of the tokens of a row, as a typed text has them."""
        if parsed.placed is not None:
            found, inexact, lost = parsed.placed
            return {"spans": len(found) + lost, "inexact": inexact, "lost": lost}
        if "tokens" in row:
            return {"words": len(parsed.words), "resplit": sum(not is_word(token, self.word_pattern) for token in parsed.tokens)}
        return {}

    def remarks(self, split: str, counts: Mapping[str, int], first: Mapping[str, str]) -> list[str]:
        """Spans that are not whole words, and tokens that are several words where a text is typed. ValueError: max_inexact."""
        spans, inexact, lost, words, resplit = (counts.get(name, 0) for name in ("spans", "inexact", "lost", "words", "resplit"))
        lines = []
        if inexact + lost:
            place = first["inexact" if inexact else "lost"]
            line = (
                f"{inexact + lost:,} of {spans:,} spans are not whole words, the first in {place}: {inexact:,} end inside a word and take "
                f"all of it, {lost:,} share a word with another span or have none and are left out; {CHARACTERS} makes each character "
                "a word"
            )
            if inexact + lost > self.max_inexact * spans:
                raise ValueError(f"{line}, task.format.max_inexact=1 accepts them (now {self.max_inexact:g})")
            lines.append(line)
        if split == "train" and resplit > RESPLIT * words:
            lines.append(
                f"{resplit:,} of {words:,} tokens, the first in {first['resplit']}, are split otherwise where a text is typed; to predict, "
                r"give rows of tokens, or train with task.format.word_pattern='\S+' and type blanks between tokens"
            )
        return lines

    def length(self, features: Features) -> int:
        return len(features["ids"]) + 2

    def collate(self, features: Sequence[Features], spec: DataSpec, random: Random) -> Batch:
        """ids, padding_mask (R, T): a row for each window, of which a long text has several. num_words (B,), tags (B, W).

        word_ids (R, T): the word of a subword among the B * W words of the batch, B * W = none. word_mask (R, T): the subwords that
        represent their word, in one window alone.
        """
        begin, end, room = self._frame(spec)
        rows = FeatureRows.of(features)
        num_words = rows.numbers("num_words")
        most = int(num_words.max())
        none = len(rows) * most
        pieces, word_ids, framed = rows.lists("ids"), rows.lists("word_ids"), len(begin) + len(end)
        windows = Windows.of(pieces.lengths, room, self.overlap)
        width = max(int(windows.length.max()), 1 - framed)  # a text may have no subword
        ids = windows.slices(pieces).padded(spec.padding, width, begin, end)  # (R, T)
        words = windows.slices(word_ids).padded(NO_WORD, width + len(end), before=[NO_WORD] * len(begin))  # (R, T)
        mask, outside = windows.represents(words, word_ids, self.pieces, len(begin)), words == NO_WORD
        words += windows.row[:, None] * most
        words[outside] = none
        batch: Batch = {
            "ids": torch.from_numpy(ids),
            "padding_mask": padding_mask(np.maximum(windows.length + framed, 1)),
            "word_ids": torch.from_numpy(words),
            "word_mask": torch.from_numpy(mask),
            "num_words": torch.from_numpy(num_words),
        }
        if self.word_features:
            flat = pad(rows.lists("word_features"), 0)  # (B, W * K)
            batch["word_features"] = flat.view(len(rows), most, len(FEATURES))
            batch["fold"] = torch.from_numpy(rows.numbers("fold"))
        if "tags" in rows.names:
            batch["tags"] = pad(rows.lists("tags"), 0)
        return batch

    def _frame(self, spec: DataSpec) -> tuple[list[int], list[int], int]:
        """The special tokens before and after a window, and the number of subwords between them."""
        begin = [] if spec.begin is None else [spec.begin]
        end = [] if spec.end is None else [spec.end]
        room = spec.max_length - len(begin) - len(end)
        if self.overlap >= room:
            raise UserError(
                f"task.format.overlap={self.overlap} must be smaller than the {room} subwords of a window "
                f"(model.max_length={spec.max_length})"
            )
        return begin, end, room

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """Python source with its names tagged by `ast`. The split does not depend on the seed."""
        return rows(split)


@register("format")
class NerSpansFormat(NerFormat):
    """Texts, and the characters of their entities: spans = [{"start": 0, "end": 5, "label": "person"}, ...].

    word_pattern: a regular expression (of the package `regex`) of a word; \\X = each character. null = Unicode's words, and each character
        in scripts without blanks. A span that ends inside a word takes all of it.
    max_windows: windows of a text at most; a longer text is refused, because one step would not end.
    max_inexact: share of the spans of a split that words cannot express (they end inside a word, or share one with another span), above
        which the data is refused.
    word_features: rows of the table that the linear tagger of the task has for features of words; 0 = no linear tagger.
    """

    columns = ("text", "spans")
    optional = ("spans",)

    def model_input(self, parsed: Sentence) -> Sentence:
        """The text as it is."""
        return parsed
