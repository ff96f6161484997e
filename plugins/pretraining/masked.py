"""Hidden tokens, told from both sides."""

from collections.abc import Sequence
from random import Random
from typing import ClassVar

import numpy as np

from framework.data.formats import Batch, Features, Row, TextTokenizer, text_of
from framework.data.padding import pad, padding_mask
from framework.data.spec import DataSpec
from framework.registry import register
from framework.tasks.cross_entropy import IGNORED

from .noise import Marks, generator_of, some
from .running_text import RunningText, needed

GAPS = 100  # of a text to predict; no model reads as many


@register("format")
class MaskedFormat(RunningText):
    """Masked language modeling: a share of the tokens is hidden and told. Devlin et al. 2019, section 3.1, https://arxiv.org/abs/1810.04805

    Drawn anew for each batch (Liu et al. 2019, section 4.1, https://arxiv.org/abs/1907.11692), in evaluation always alike. A window
    stands between the begin and the end token, as a text to classify does.

    share: of the tokens that are to be told.
    masked: share of those that the mask token hides.
    random: share of those that another token replaces; what is left stays as it is.
    whole_words: hide words with all their pieces.
    end_of_document: put the end token between documents.
    builtin_megabytes: the most of the standard library's source that the built-in training part takes.
    """

    both_sides: ClassVar[bool] = True
    rules: ClassVar[dict[str, str]] = {
        "'encoder' in provided and 'decoder' not in provided": "a hidden token is told where it stands, from both sides: by an encoder. A "
        "decoder sees one side (task/format=causal), and an encoder-decoder writes what is hidden (task/format=span_corruption)",
        "0 < share < 1": "share is a share of the tokens",
        "masked >= 0 and random >= 0 and masked + random <= 1": "masked and random are shares of the tokens to be told",
        "builtin_megabytes > 0": "training needs some text",
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
        return spec.max_length - 3  # begin, end, and the token more that windows have

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features | None:
        """ids, and with whole_words where words begin."""
        begins: list[bool] = []
        ids = self.given(row, tokenizer, spec, [spec.mask] * GAPS)
        if ids is None:
            if self.whole_words:
                ids, offsets = tokenizer.encode_with_offsets(text_of(row))
                begins = word_begins(row["text"], offsets)
            else:
                ids = tokenizer.encode(text_of(row))
            if not ids:
                return None
            ids = ids + ([needed(spec.end, "end")] if self.end_of_document else [])
        begins += [True] * (len(ids) - len(begins))
        return {"ids": ids, **({"begins": [int(begin) for begin in begins]} if self.whole_words else {})}

    def collate(self, features: Sequence[Features], spec: DataSpec, random: Random) -> Batch:
        """ids, targets (B, T), padding_mask (B, T) or None."""
        seed = random.getrandbits(32)
        room = self.window(spec) + 1  # only a text to predict may be longer
        ordinary = ordinary_tokens(spec)
        pairs = [self._noised(row["ids"][:room], row.get("begins"), ordinary, spec, seed) for row in features]
        begin, end = ([] if id is None else [id] for id in (spec.begin, spec.end))
        ids = [[*begin, *ids, *end] for ids, _ in pairs]
        targets = [[*[IGNORED] * len(begin), *targets] for _, targets in pairs]
        return {
            "ids": pad(ids, spec.padding),
            "padding_mask": padding_mask(ids),
            "targets": pad(targets, IGNORED, max(map(len, ids))),
        }

    def _noised(
        self, row: Sequence[int], begins: Sequence[int] | None, ordinary: Marks, spec: DataSpec, seed: int
    ) -> tuple[list[int], list[int]]:
        """What the model reads of a row, and what it is to tell. ordinary (V,): the tokens that are hidden, and stand in for another."""
        mask, generator = needed(spec.mask), generator_of(seed, row)
        ids = np.array(row)
        targets = np.full(len(ids), IGNORED)
        if mask in row:  # which no text is encoded as: its gaps were given
            return list(row), targets.tolist()
        words = None if begins is None else np.array(begins[: len(ids)], dtype=bool)
        chosen = some(ordinary[ids], self.share, generator, words)
        targets[chosen] = ids[chosen]
        fate = generator.random(len(chosen))
        ids[chosen[fate < self.masked]] = mask
        replaced = chosen[(self.masked <= fate) & (fate < self.masked + self.random)]
        ids[replaced] = generator.choice(np.flatnonzero(ordinary), len(replaced))
        return ids.tolist(), targets.tolist()


def ordinary_tokens(spec: DataSpec) -> Marks:
    """(V,) True for tokens that texts are made of, which the special ones are not."""
    ordinary = np.ones(spec.vocab_size, dtype=bool)
    special = (spec.padding, spec.begin, spec.end, spec.unknown, spec.mask, *spec.special_ids)
    ordinary[[id for id in special if id is not None]] = False
    return ordinary


def word_begins(text: str, offsets: Sequence[tuple[int, int]]) -> list[bool]:
    """Whether each token, which stands for the characters (from, to) of a text, begins a word. A word is a run of letters, digits
    and _; every other character stands alone, as in BERT."""
    begins, reached = [], -1
    for start, stop in offsets:
        inside = start < reached or (0 < start < len(text) and _in_word(text[start]) and _in_word(text[start - 1]))
        begins.append(not inside)
        reached = max(reached, stop)
    return begins


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_"
