"""Spoiled text, and what was there: for models that read one text and write another."""

import re
from collections.abc import Sequence
from random import Random
from typing import ClassVar

import numpy as np

from framework.data.formats import Batch, Features, Row, TextTokenizer, text_of
from framework.data.padding import pad, padding_mask
from framework.data.spec import DataSpec
from framework.registry import register
from framework.tasks.cross_entropy import IGNORED

from .noise import generator_of, partition, place, poisson
from .running_text import RunningText, needed

Pair = tuple[list[int], list[int]]  # what is read, what is to be written; without end tokens
SENTENCE_END = re.compile(r"[.!?][\"')\]]*\s+|\s*\n\s*")
_FAMILY = {"'cross' in provided": "spoiled text is read and what was there is written: by an encoder, and a decoder that looks at it"}


class Denoising(RunningText):
    """Batches as a translation has them: source, source_real, target (what the decoder reads) and targets (what it should write)."""

    stands_at: ClassVar[str] = "target"

    def window(self, spec: DataSpec) -> int:
        return spec.max_length - 4  # room for end tokens, a last sentinel, and the token more that windows have

    def pair(self, features: Features, spec: DataSpec, generator: np.random.Generator) -> Pair:
        raise NotImplementedError

    def gaps(self, spec: DataSpec) -> Sequence[int | None]:
        """What stands for the gaps of a text, in their order."""
        raise NotImplementedError

    def collate(self, features: Sequence[Features], spec: DataSpec, random: Random) -> Batch:
        """source (B, S), source_padding_mask (B, S) or None, target and targets (B, T)."""
        seed, room, end = random.getrandbits(32), self.window(spec) + 1, needed(spec.end, "end")
        begin = spec.decoder_start
        gaps = {*self.gaps(spec)}
        pairs = []
        for row in features:
            row = {name: values[:room] for name, values in row.items()}  # only a text to predict may be longer
            given = gaps.intersection(row["ids"])
            pairs.append((row["ids"], []) if given else self.pair(row, spec, generator_of(seed, row["ids"])))
        sources, written = [[*source, end] for source, _ in pairs], [[*target, end] for _, target in pairs]
        return {
            "source": pad(sources, spec.padding),
            "source_padding_mask": padding_mask(sources),
            "target": pad([[begin, *ids[:-1]] for ids in written], spec.padding),
            "targets": pad(written, IGNORED),
        }


@register("format")
class SpanCorruptionFormat(Denoising):
    """Spans of text are replaced by sentinels, and written behind their sentinels. Raffel et al. 2020 (T5), section 3.1.4, https://arxiv.org/abs/1910.10683

    share: of the tokens that are taken out.
    span: mean length of what is taken out in one piece.
    sentinels: special tokens that mark the places, added to the tokenizer where it has none.
    builtin_megabytes: the most of the standard library's source that the built-in training part takes.
    """

    rules: ClassVar[dict[str, str]] = {
        **_FAMILY,
        "0 < share < 1": "share is a share of the tokens",
        "span >= 1": "a span is one token at least",
        "sentinels >= 2": "one sentinel marks a place and another one the end",
        "builtin_megabytes > 0": "training needs some text",
    }

    def __init__(self, share: float = 0.15, span: float = 3.0, sentinels: int = 100, builtin_megabytes: float = 1.5):
        self.share, self.span, self.sentinels, self.builtin_megabytes = share, span, sentinels, builtin_megabytes
        self.special_tokens = tuple(f"<extra_id_{number}>" for number in range(sentinels))  # T5's own names: its tokenizer has them

    def gaps(self, spec: DataSpec) -> Sequence[int | None]:
        return spec.special_ids[:-1]

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features | None:
        ids = self.given(row, tokenizer, spec, self.gaps(spec)) or tokenizer.encode(text_of(row))
        return {"ids": ids} if ids else None

    def pair(self, features: Features, spec: DataSpec, generator: np.random.Generator) -> Pair:
        ids = features["ids"]
        taken = min(max(1, round(len(ids) * self.share)), max(1, len(ids) - 1))
        most = min(taken, len(ids) - taken + 1, len(spec.special_ids) - 1, max(1, spec.max_length - taken - 3))
        spans = place(len(ids) - taken, partition(taken, min(max(1, round(taken / self.span)), most), generator), generator)
        source, target, reached = [], [], 0
        for sentinel, (start, stop) in zip(spec.special_ids, spans, strict=False):
            source += [*ids[reached:start], sentinel]
            target += [sentinel, *ids[start:stop]]
            reached = stop
        return [*source, *ids[reached:]], [*target, spec.special_ids[len(spans)]]


@register("format")
class InfillingFormat(Denoising):
    """Spans of text are each replaced by one mask token, sentences change places, and the whole text is written.
    Lewis et al. 2020 (BART), section 2.2, https://arxiv.org/abs/1910.13461

    share: of the tokens that are taken out.
    span: mean length of what is taken out in one piece, drawn from a Poisson distribution; pieces of length 0 are masks put in.
    permute_sentences: sentences in random order.
    builtin_megabytes: the most of the standard library's source that the built-in training part takes.
    """

    rules: ClassVar[dict[str, str]] = {
        **_FAMILY,
        "0 <= share < 1": "share is a share of the tokens",
        "span > 0": "a span of no token takes nothing out",
        "share > 0 or permute_sentences": "nothing is spoiled: task.format.share=0.3, or task.format.permute_sentences=true",
        "builtin_megabytes > 0": "training needs some text",
    }

    def __init__(self, share: float = 0.3, span: float = 3.0, permute_sentences: bool = True, builtin_megabytes: float = 1.5):
        self.share, self.span, self.permute_sentences, self.builtin_megabytes = share, span, permute_sentences, builtin_megabytes

    def gaps(self, spec: DataSpec) -> Sequence[int | None]:
        return [spec.mask] * spec.max_length

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features | None:
        """ids, and with permute_sentences where sentences begin."""
        ids, begins = self.given(row, tokenizer, spec, self.gaps(spec)), []
        if ids is None:
            ids, offsets = tokenizer.encode_with_offsets(text_of(row))
            begins = sentence_begins(row["text"], offsets) if self.permute_sentences else []
        begins += [0] * (len(ids) - len(begins))
        return {"ids": ids, **({"begins": begins} if self.permute_sentences else {})} if ids else None

    def pair(self, features: Features, spec: DataSpec, generator: np.random.Generator) -> Pair:
        ids = np.array(features["ids"])
        sentences = np.split(ids, np.flatnonzero(features["begins"])) if self.permute_sentences else [ids]
        shuffled = np.concatenate([sentences[number] for number in generator.permutation(len(sentences))]).tolist()
        taken = round(len(ids) * self.share)
        drawn = poisson(taken, self.span, generator)
        apart = min(len(drawn), len(ids) - taken + 1)  # spans that have a token between them
        lengths = np.array([part.sum() for part in np.array_split(drawn, apart)], dtype=np.int64) if apart else drawn
        source, reached = [], 0
        for start, stop in place(len(ids) - int(lengths.sum()), lengths, generator):
            source += [*shuffled[reached:start], needed(spec.mask)]
            reached = stop
        return [*source, *shuffled[reached:]], ids.tolist()


def sentence_begins(text: str, offsets: Sequence[tuple[int, int]]) -> list[int]:
    """1 for each token, which stands for the characters (from, to) of a text, that is the first of a sentence."""
    begins = [0] * len(offsets)
    ends = [stop for _, stop in offsets]
    for character in (0, *(match.end() for match in SENTENCE_END.finditer(text))):
        token = int(np.searchsorted(ends, character, side="right"))
        if token < len(begins):
            begins[token] = 1
    return begins


def filled(source: Sequence[int], written: Sequence[int], sentinels: Sequence[int]) -> list[int]:
    """A source with each of its sentinels replaced by what is written behind it; what is written behind none is left out."""
    known = {*sentinels}
    spans: dict[int, list[int]] = {}
    place_of: int | None = None
    for id in written:
        if id in known:
            place_of = id
            spans.setdefault(id, [])
        elif place_of is not None:
            spans[place_of].append(id)
    return [id for token in source for id in (spans.get(token, []) if token in known else [token])]
