"""Denoising: corrupted text, and the original, for encoder-decoders."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from random import Random
from typing import ClassVar

import numpy as np

from framework import IGNORED, Batch, DataSpec, Features, Row, TextTokenizer, pad, padding_mask, register, target_places, text_of

from .noise import generator_of, partition, place, poisson
from .running_text import RunningText, required

Pair = tuple[list[int], list[int]]  # source and target, without end tokens
SENTENCE_END = re.compile(r"[.!?][\"')\]]*\s+|\s*\n\s*")
_FAMILY = {"'cross' in provided": "denoising needs an encoder-decoder; choose model=encoder_decoder or a preset of it"}


class Denoising(RunningText):
    """Batches as of a translation: source, source_padding_mask, target (the decoder's input) and targets (its labels)."""

    makes = ("source", "source_padding_mask", "target", "targets", "target_places")
    input_name: ClassVar[str] = "target"

    def window(self, spec: DataSpec) -> int:
        return spec.max_length - 4  # end tokens, a last sentinel, and the additional token of a window

    def pair(self, features: Features, spec: DataSpec, generator: np.random.Generator) -> Pair:
        raise NotImplementedError

    def gaps(self, spec: DataSpec) -> Sequence[int | None]:
        """The tokens that mark the gaps of a text, in order."""
        raise NotImplementedError

    def collate(self, features: Sequence[Features], spec: DataSpec, random: Random) -> Batch:
        """source (B, S), source_padding_mask (B, S) or None, target and targets (B, T), target_places (N,)."""
        seed, room, end = random.getrandbits(32), self.window(spec) + 1, required(spec.end, "end")
        begin = spec.decoder_start
        gaps = {*self.gaps(spec)}
        pairs = []
        for row in features:
            row = {name: values[:room] for name, values in row.items()}  # a text to predict may be longer
            has_gaps = gaps.intersection(row["ids"])
            pairs.append((row["ids"], []) if has_gaps else self.pair(row, spec, generator_of(seed, row["ids"])))
        sources, targets = [[*source, end] for source, _ in pairs], [[*target, end] for _, target in pairs]
        labels = pad(targets, IGNORED)
        return {
            "source": pad(sources, spec.padding),
            "source_padding_mask": padding_mask(sources),
            "target": pad([[begin, *ids[:-1]] for ids in targets], spec.padding),
            "targets": labels,
            "target_places": target_places(labels),
        }


@register("format")
class SpanCorruptionFormat(Denoising):
    """Span corruption: spans are replaced by sentinels; the target is each sentinel and its span. Raffel et al. 2020 (T5), section 3.1.4, https://arxiv.org/abs/1910.10683

    share: share of the tokens in spans.
    span: mean length of a span.
    sentinels: number of sentinel tokens, added to the tokenizer if it has none.
    """

    rules: ClassVar[dict[str, str]] = {
        **_FAMILY,
        "0 < share < 1": "share must be in (0, 1)",
        "1 <= span <= 1000": "span must be at least 1, and at most 1,000",
        "2 <= sentinels <= 10_000": "sentinels must be at least 2, one for a span and one for the end, and at most 10,000",
        "builtin_megabytes > 0": "builtin_megabytes must be positive",
    }

    def __init__(self, share: float = 0.15, span: float = 3.0, sentinels: int = 100, builtin_megabytes: float = 1.5):
        self.share, self.span, self.sentinels, self.builtin_megabytes = share, span, sentinels, builtin_megabytes
        self.special_tokens = tuple(f"<extra_id_{number}>" for number in range(sentinels))  # T5's own names: its tokenizer has them

    def gaps(self, spec: DataSpec) -> Sequence[int | None]:
        return spec.special_ids[:-1]

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features | None:
        ids = self.filled_tokens(row, tokenizer, spec, self.gaps(spec)) or tokenizer.encode(text_of(row))
        return {"ids": ids} if ids else None

    def pair(self, features: Features, spec: DataSpec, generator: np.random.Generator) -> Pair:
        ids = features["ids"]
        masked = min(max(1, round(len(ids) * self.share)), max(1, len(ids) - 1))
        most = min(masked, len(ids) - masked + 1, len(spec.special_ids) - 1, max(1, spec.max_length - masked - 3))
        spans = place(len(ids) - masked, partition(masked, min(max(1, round(masked / self.span)), most), generator), generator)
        source, target, reached = [], [], 0
        for sentinel, (start, stop) in zip(spec.special_ids, spans, strict=False):
            source += [*ids[reached:start], sentinel]
            target += [sentinel, *ids[start:stop]]
            reached = stop
        return [*source, *ids[reached:]], [*target, spec.special_ids[len(spans)]]


@register("format")
class InfillingFormat(Denoising):
    """Text infilling: each span is replaced by one mask token and sentences are permuted; the target is the whole text.
    Lewis et al. 2020 (BART), section 2.2, https://arxiv.org/abs/1910.13461

    share: share of the tokens in spans.
    span: mean length of a span, drawn from a Poisson distribution; a span of length 0 is an inserted mask.
    permute_sentences: put sentences into random order.
    """

    rules: ClassVar[dict[str, str]] = {
        **_FAMILY,
        "0 <= share < 1": "share must be in [0, 1)",
        "0 < span <= 1000": "span must be positive, and at most 1,000",
        "share > 0 or permute_sentences": "no noise: choose task.format.share=0.3 or task.format.permute_sentences=true",
        "builtin_megabytes > 0": "builtin_megabytes must be positive",
    }

    def __init__(self, share: float = 0.3, span: float = 3.0, permute_sentences: bool = True, builtin_megabytes: float = 1.5):
        self.share, self.span, self.permute_sentences, self.builtin_megabytes = share, span, permute_sentences, builtin_megabytes

    def gaps(self, spec: DataSpec) -> Sequence[int | None]:
        return [spec.mask] * spec.max_length

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features | None:
        """ids, and with permute_sentences begins: 1 for the first token of a sentence."""
        ids, begins = self.filled_tokens(row, tokenizer, spec, self.gaps(spec)), []
        if ids is None:
            ids, offsets = tokenizer.encode_with_offsets(text_of(row))
            begins = sentence_begins(row["text"], offsets) if self.permute_sentences else []
        begins += [0] * (len(ids) - len(begins))
        return {"ids": ids, **({"begins": begins} if self.permute_sentences else {})} if ids else None

    def pair(self, features: Features, spec: DataSpec, generator: np.random.Generator) -> Pair:
        ids = np.array(features["ids"])
        sentences = np.split(ids, np.flatnonzero(features["begins"])) if self.permute_sentences else [ids]
        shuffled = np.concatenate([sentences[number] for number in generator.permutation(len(sentences))]).tolist()
        masked = round(len(ids) * self.share)
        drawn = poisson(masked, self.span, generator)
        count = min(len(drawn), len(ids) - masked + 1)  # of spans with a token between them
        lengths = np.array([part.sum() for part in np.array_split(drawn, count)], dtype=np.int64) if count else drawn
        source, reached = [], 0
        for start, stop in place(len(ids) - int(lengths.sum()), lengths, generator):
            source += [*shuffled[reached:start], required(spec.mask)]
            reached = stop
        return [*source, *shuffled[reached:]], ids.tolist()


def sentence_begins(text: str, offsets: Sequence[tuple[int, int]]) -> list[int]:
    """1 for the first token of a sentence, else 0. offsets: the characters of each token, from and to."""
    begins = [0] * len(offsets)
    ends = [stop for _, stop in offsets]
    for character in (0, *(match.end() for match in SENTENCE_END.finditer(text))):
        token = bisect_right(ends, character)
        if token < len(begins):
            begins[token] = 1
    return begins


def filled(source: Sequence[int], generated: Sequence[int], sentinels: Sequence[int]) -> list[int]:
    """A source with each sentinel replaced by the tokens that were generated after it."""
    known = {*sentinels}
    spans: dict[int, list[int]] = {}
    sentinel: int | None = None
    for id in generated:
        if id in known:
            sentinel = id
            spans.setdefault(id, [])
        elif sentinel is not None:
            spans[sentinel].append(id)
    return [id for token in source for id in (spans.get(token, []) if token in known else [token])]
