"""Masked language modeling: masked tokens, predicted from both sides."""

from collections.abc import Sequence
from random import Random
from typing import ClassVar

import numpy as np
import torch

from framework import (
    IGNORED,
    Batch,
    DataSpec,
    FeatureRows,
    Features,
    Ragged,
    Row,
    TextTokenizer,
    padding_mask,
    register,
    target_places,
    text_of,
)

from .noise import Marks, Numbers, choose, generator_of
from .running_text import RunningText, required

GAPS = 100  # of a text to predict, at most


@register("format")
class MaskedFormat(RunningText):
    """Masked language modeling: a share of the tokens is masked and predicted. Devlin et al. 2019, section 3.1, https://arxiv.org/abs/1810.04805

    Masks are drawn for each batch (Liu et al. 2019, section 4.1, https://arxiv.org/abs/1907.11692), in evaluation always the same. A window
    is between the begin and the end token, as a text to classify is.

    share: share of the tokens that are targets.
    masked: share of the targets that are replaced by the mask token.
    random: share of the targets that are replaced by a random token; the others stay.
    whole_words: mask words with all their subwords.
    end_of_document: put the end token between documents.
    """

    makes = ("ids", "padding_mask", "targets", "target_places")
    both_sides: ClassVar[bool] = True
    rules: ClassVar[dict[str, str]] = {
        "'encoder' in provided and 'decoder' not in provided": "masked tokens are predicted by an encoder; choose task/format=causal for a "
        "decoder, task/format=span_corruption for an encoder-decoder",
        "0 < share < 1": "share must be in (0, 1)",
        "masked >= 0 and random >= 0 and masked + random <= 1": "masked and random must not be negative, and their sum at most 1",
        "builtin_megabytes > 0": "builtin_megabytes must be positive",
    }

    def __init__(
        self,
        share: float = 0.15,
        masked: float = 0.8,
        random: float = 0.1,
        whole_words: bool = False,
        end_of_document: bool = True,
        builtin_megabytes: float = 1.5,
    ):
        self.share, self.masked, self.random, self.whole_words = share, masked, random, whole_words
        self.end_of_document, self.builtin_megabytes = end_of_document, builtin_megabytes

    def window(self, spec: DataSpec) -> int:
        return spec.max_length - 3  # begin, end, and the additional token of a window

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features | None:
        """ids, and with whole_words begins: 1 for the first token of a word."""
        begins: list[bool] = []
        ids = self.filled_tokens(row, tokenizer, spec, [spec.mask] * GAPS)
        if ids is None:
            if self.whole_words:
                ids, offsets = tokenizer.encode_with_offsets(text_of(row))
                begins = word_begins(row["text"], offsets)
            else:
                ids = tokenizer.encode(text_of(row))
            if not ids:
                return None
            ids = ids + ([required(spec.end, "end")] if self.end_of_document else [])
        begins += [True] * (len(ids) - len(begins))
        return {"ids": ids, **({"begins": [int(begin) for begin in begins]} if self.whole_words else {})}

    def collate(self, features: Sequence[Features], spec: DataSpec, random: Random) -> Batch:
        """ids, targets (B, T), target_places (N,), padding_mask (B, T) or None."""
        return self._batch(features, spec, random.getrandbits(32))

    def collate_whole(self, features: Sequence[Features], spec: DataSpec) -> Batch:
        """Nothing is masked, and there are no targets."""
        return self._batch(features, spec, None)

    def _batch(self, features: Sequence[Features], spec: DataSpec, seed: int | None) -> Batch:
        """seed: of the noise; None = none."""
        rows, room, ordinary = FeatureRows.of(features), self.window(spec) + 1, ordinary_tokens(spec)
        texts = rows.lists("ids").cut(0, room)  # a text to predict may be longer
        begins = rows.lists("begins").cut(0, room) if self.whole_words else [None] * len(texts)
        pairs = [self._noised(row, words, ordinary, spec, seed) for row, words in zip(texts, begins, strict=True)]
        begin, end = ([] if id is None else [id] for id in (spec.begin, spec.end))
        ids, targets = (Ragged.of(rows) for rows in zip(*pairs, strict=True))
        marked = torch.from_numpy(targets.padded(IGNORED, before=[IGNORED] * len(begin), after=[IGNORED] * len(end)))
        return {
            "ids": torch.from_numpy(ids.padded(spec.padding, before=begin, after=end)),
            "padding_mask": padding_mask(ids.lengths + len(begin) + len(end)),
            "targets": marked,
            "target_places": target_places(marked),
        }

    def _noised(self, ids: Numbers, begins: Numbers | None, ordinary: Marks, spec: DataSpec, seed: int | None) -> tuple[Numbers, Numbers]:
        """Input and targets (T,) of a row. ordinary (V,): the tokens that may be masked, and may replace another."""
        mask, targets = required(spec.mask), np.full(len(ids), IGNORED)
        if seed is None or mask in ids:  # no text is encoded to it: the row has gaps
            return ids, targets
        ids, generator = ids.copy(), generator_of(seed, ids)
        chosen = choose(ordinary[ids], self.share, generator, None if begins is None else begins.astype(bool))
        targets[chosen] = ids[chosen]
        drawn = generator.random(len(chosen))
        ids[chosen[drawn < self.masked]] = mask
        replaced = chosen[(self.masked <= drawn) & (drawn < self.masked + self.random)]
        ids[replaced] = generator.choice(np.flatnonzero(ordinary), len(replaced))
        return ids, targets


def ordinary_tokens(spec: DataSpec) -> Marks:
    """(V,) True for all but special tokens."""
    ordinary = np.ones(spec.vocab_size, dtype=bool)
    special = (spec.padding, spec.begin, spec.end, spec.unknown, spec.mask, *spec.special_ids)
    ordinary[[id for id in special if id is not None]] = False
    return ordinary


def word_begins(text: str, offsets: Sequence[tuple[int, int]]) -> list[bool]:
    """Whether each token begins a word. offsets: its characters, from and to. A word is a run of letters, digits and _; every other
    character is a word of its own, as in BERT."""
    begins, reached = [], -1
    for start, stop in offsets:
        inside = start < reached or (0 < start < len(text) and _in_word(text[start]) and _in_word(text[start - 1]))
        begins.append(not inside)
        reached = max(reached, stop)
    return begins


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_"
