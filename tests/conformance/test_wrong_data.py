"""Tokenizers, formats and batch samplers that are wrong on purpose: each is rejected by the name of the promise that it breaks."""

from random import Random

import numpy as np
import pytest
import tokenizers
import torch
from tokenizers import decoders, models, normalizers, pre_tokenizers

from framework.data.batches import Batches, chunks, order
from framework.data.formats import Format, text_of
from framework.data.tokenization.tokenizer import Tokenizer
from framework.data.tokenization.trainers import BytesTokenizer, TokenizerTrainer, finish
from framework.testing import BatchesPromises, FormatPromises, TokenizerPromises
from tests.conformance.rejects import assert_accepted, assert_rejected


class Changed(Tokenizer):
    """A byte tokenizer with a method of its own."""

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "Changed":
        return cls(tokenizer.backend)


class Bytes(BytesTokenizer):
    """Nothing is wrong with this one."""

    changed: type[Changed] = Changed

    def train(self, texts):
        return self.changed.of(super().train(texts))


def changed(**methods):
    """A trainer of byte tokenizers with these methods."""
    return type("Bytes", (Bytes,), {"changed": type("Other", (Changed,), methods)})


class Specials(Bytes):
    """The text [MASK] is its special token."""

    def train(self, texts):
        tokenizer = super().train(texts)
        tokenizer.backend.encode_special_tokens = False
        return tokenizer


class WordsAlone(TokenizerTrainer):
    """A vocabulary of the words of the texts: all others are unknown."""

    def train(self, texts):
        words = sorted({word for text in texts() for word, _ in pre_tokenizers.Whitespace().pre_tokenize_str(text.lower())})
        vocabulary = {token: id for id, token in enumerate(["[PAD]", "[BEGIN]", "[END]", "[UNK]", "[MASK]", *words])}
        backend = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
        backend.pre_tokenizer = pre_tokenizers.Whitespace()
        backend.normalizer, backend.decoder = normalizers.Lowercase(), decoders.WordPiece(prefix="##")
        return finish(backend)


class Unmasked(Bytes):
    def train(self, texts):
        trained = super().train(texts)
        return Tokenizer(trained.backend, {"mask": None})


class Shared(Bytes):
    def train(self, texts):
        trained = super().train(texts)
        return Tokenizer(trained.backend, {"mask": "[UNK]"})


class WithStart(Bytes):
    def train(self, texts):
        return Tokenizer(super().train(texts).backend, min_vocab_size=300)


class Random_(WordsAlone):
    runs = 0

    def train(self, texts):
        Random_.runs += 1
        return super().train(lambda: [*texts(), f"word{Random_.runs}"])


class OriginOfObjects(Bytes):
    def origin(self):
        return [object()]


class OriginOfTime(Bytes):
    runs = 0

    def origin(self):
        OriginOfTime.runs += 1
        return [OriginOfTime.runs]


class ReadsAnyway(WordsAlone):
    needs_texts = False


class ReadsOneAnyway(Bytes):
    def train(self, texts):
        next(iter(texts()))
        return super().train(texts)


class TooLarge(Bytes):
    def __init__(self, vocab_size: int = 100):
        self.vocab_size = vocab_size

    def train(self, texts):
        return super().train(texts).with_special_tokens([f"<{number}>" for number in range(self.vocab_size)])


def plus(method, value):
    return lambda self, *arguments: value(getattr(Tokenizer, method)(self, *arguments))


TOKENIZERS = {
    "every text is encoded": (
        Specials,
        changed(encode=plus("encode", lambda ids: [*ids, 999])),
        changed(encode=lambda self, text: Tokenizer.encode(self, text) if text.isascii() else 1 / 0),
        changed(encode=plus("encode", lambda ids: [1, *ids])),
    ),
    "decoding restores the text": (WordsAlone, changed(decode=plus("decode", str.strip)), changed(decode=plus("decode", str.title))),
    "offsets are those of the text": (
        changed(encode_with_offsets=plus("encode_with_offsets", lambda both: (both[0], [(a + 1, b + 1) for a, b in both[1]]))),
        changed(encode_with_offsets=plus("encode_with_offsets", lambda both: (both[0][1:], both[1][1:]))),
        changed(encode_with_offsets=plus("encode_with_offsets", lambda both: (both[0], [(0, 0) for _ in both[1]]))),
        changed(encode_with_offsets=plus("encode_with_offsets", lambda both: (both[0], both[1][::-1]))),
    ),
    "has special tokens": (Unmasked, Shared),
    "saves and loads": (WithStart, changed(encode=plus("encode", lambda ids: ids[::-1]))),
    "trains the same twice": (Random_, OriginOfObjects, OriginOfTime),
    "says whether it needs texts": (ReadsAnyway, ReadsOneAnyway),
    "keeps its size": (TooLarge,),
    "counts bytes": (
        changed(byte_lengths=plus("byte_lengths", lambda lengths: [1] * (len(lengths) + 1))),
        changed(byte_lengths=plus("byte_lengths", lambda lengths: [0 for _ in lengths])),
    ),
}


def test_right_tokenizers_are_accepted():
    assert_accepted(TokenizerPromises, Bytes)
    assert_accepted(TokenizerPromises, WordsAlone, restores=False)


@pytest.mark.parametrize(("promise", "wrong"), [(promise, wrong) for promise, all in TOKENIZERS.items() for wrong in all])
def test_a_wrong_tokenizer_is_rejected(promise, wrong):
    assert_rejected(TokenizerPromises, promise, wrong)


class Letters(Format):
    """A text and its label; nothing is wrong with this one."""

    columns, optional = ("text", "label"), ("label",)

    def fit(self, rows):
        return {"labels": sorted({row["label"] for row in rows})}

    def encode(self, row, tokenizer, spec):
        features = {"ids": [spec.begin, *tokenizer.encode(text_of(row))]}
        if row.get("label") is None:
            return features
        if row["label"] not in spec.labels:
            raise ValueError(f"the label is {row['label']!r}; the training rows have {', '.join(spec.labels)}")
        return {**features, "label": spec.labels.index(row["label"])}

    def builtin(self, split, seed):
        for number in range(9):
            yield {"text": f"{split} {number} {'a' * number}", "label": "odd" if number % 2 else "even"}


def format_with(**methods):
    return type("Wrong", (Letters,), methods)


def encoded(change):
    return format_with(encode=lambda self, *arguments: change(Letters.encode(self, *arguments), arguments[0]))


def collated(change):
    return format_with(collate=lambda self, features, spec, random: change(Format.collate(self, features, spec, random), features, random))


def labels_needed(self, row, tokenizer, spec):
    return {"ids": tokenizer.encode(text_of(row)), "label": spec.labels.index(row["label"])}


def reads_anything(self, row, tokenizer, spec):
    return Letters.encode(self, {**row, "text": str(row["text"])}, tokenizer, spec)


def counts(self, row, tokenizer, spec):
    self.number = getattr(self, "number", 0) + 1
    return {"ids": [*tokenizer.encode(text_of(row)), self.number]}


def to_lower(self, row, tokenizer, spec):
    row["text"] = row["text"].upper()
    return Letters.encode(self, row, tokenizer, spec)


def centred(batch, features, random):
    return {**batch, "mean": batch["ids"].float().mean(1) - batch["ids"].float().mean()}


def unmasked(batch, features, random):
    return {**batch, "ids": batch["ids"].where(batch["ids"] != 0, 7)}


def cut(batch, features, random):
    features[0]["ids"].append(0)
    return batch


FORMATS = {
    "features are legal": (
        encoded(lambda features, row: {**features, "text": row["text"]}),
        encoded(lambda features, row: {**features, "tensor": torch.tensor(1)}),
        encoded(lambda features, row: {**features, row["text"]: 1}),
        encoded(lambda features, row: {**features, "mixed": 1 if len(row["text"]) % 2 else [1]}),
        encoded(lambda features, row: None),
        format_with(encode=counts),
        format_with(encode=to_lower),
    ),
    "length is the number of tokens": (
        format_with(length=lambda self, features: 0),
        format_with(length=lambda self, features: len(features["ids"]) / 2),
    ),
    "rows are independent": (
        collated(centred),
        collated(unmasked),
        collated(lambda batch, features, random: {**batch, "place": torch.arange(len(features))}),
    ),
    "collates the same twice": (
        collated(lambda batch, features, random: {**batch, "noise": torch.rand(3)}),
        collated(cut),
        collated(lambda batch, features, random: {**batch, "@mine": 1}),
    ),
    "predicts without targets": (
        format_with(encode=labels_needed),
        encoded(lambda features, row: features if "label" in row else None),
        collated(lambda batch, features, random: {**batch, "twice": 2 * batch["label"]}),
    ),
    "builtin rows suit it": (
        format_with(builtin=lambda self, split, seed: ({"text": "same", "label": "even"} for _ in range(3))),
        format_with(builtin=lambda self, split, seed: ({"text": f"{split} {Random().random()}", "label": "odd"} for _ in range(3))),
        format_with(
            builtin=lambda self, split, seed: (
                {("text" if split == "train" else "words"): f"{split} {number}", "label": "odd"} for number in range(3)
            )
        ),
    ),
    "refuses other types": (
        format_with(encode=reads_anything),
        format_with(encode=lambda self, row, tokenizer, spec: {"ids": tokenizer.encode(row["text"].strip())}),
        format_with(tokenizer_texts=lambda self, row: [row["text"].lower()]),
    ),
    "learns plain statistics": (
        format_with(fit=lambda self, rows: {"labels": ("even", "odd"), "seen": {row["label"] for row in rows}}),
        format_with(fit=lambda self, rows: {"labels": ("even", "odd"), "mean": float("nan")}),
        format_with(tokenizer_texts=lambda self, row: []),
    ),
}


def test_a_right_format_is_accepted():
    assert_accepted(FormatPromises, Letters)


@pytest.mark.parametrize(("promise", "wrong"), [(promise, wrong) for promise, all in FORMATS.items() for wrong in all])
def test_a_wrong_format_is_rejected(promise, wrong):
    assert_rejected(FormatPromises, promise, wrong)


class Sorted(Batches):
    """Batches of rows of similar length; nothing is wrong with this one."""

    def __init__(self, rows: int = 8):
        self.rows = rows

    def plan_batches(self, lengths, seed, epoch, world_size, shuffle):
        batches = chunks(np.argsort(lengths, kind="stable"), self.rows * world_size)
        return [batches[number] for number in order(len(batches), seed, epoch, shuffle)]


class Repeats(Sorted):
    def plan_batches(self, lengths, *rest):
        batches = super().plan_batches(lengths, *rest)
        return [*batches, *batches[:1]]


class DropsTheLast(Sorted):
    def plan_batches(self, lengths, seed, epoch, world_size, shuffle):
        return [batch for batch in super().plan_batches(lengths, seed, epoch, world_size, shuffle) if len(batch) == self.rows * world_size]


class EndsInAnEmptyOne(Sorted):
    def plan_batches(self, *arguments):
        return [*super().plan_batches(*arguments), np.empty(0, dtype=np.int64)]


class DrawsItsSizes(Sorted):
    def plan_batches(self, lengths, seed, epoch, world_size, shuffle):
        return chunks(np.arange(len(lengths)), self.rows - epoch % 3)


class GrowsWithTheEpoch(Sorted):
    def plan_batches(self, lengths, seed, epoch, world_size, shuffle):
        return chunks(np.arange(len(lengths)), self.rows + 4 * epoch)


class Draws(Sorted):
    def plan_batches(self, lengths, seed, epoch, world_size, shuffle):
        return chunks(np.random.default_rng().permutation(len(lengths)), self.rows * world_size)


class Continues(Sorted):
    random = np.random.default_rng(0)

    def plan_batches(self, lengths, seed, epoch, world_size, shuffle):
        return chunks(self.random.permutation(len(lengths)), self.rows * world_size)


class ShufflesInEvaluation(Sorted):
    def plan_batches(self, lengths, seed, epoch, world_size, shuffle):
        return super().plan_batches(lengths, seed, epoch, world_size, True)


class ForgetsTheRanks(Sorted):
    def plan_batches(self, lengths, seed, epoch, world_size, shuffle):
        return super().plan_batches(lengths, seed, epoch, 2 * world_size, shuffle)


class CountsTokensWithoutPadding(Batches):
    def __init__(self, budget: int = 64):
        self.budget = budget

    def plan_batches(self, lengths, seed, epoch, world_size, shuffle):
        ends = np.cumsum(lengths) // (self.budget * world_size)
        return [np.flatnonzero(ends == end) for end in np.unique(ends)]


BATCHES = {
    "every row comes once": (Repeats, DropsTheLast, EndsInAnEmptyOne),
    "ranks make the same steps": (DrawsItsSizes, GrowsWithTheEpoch),
    "is a function of its arguments": (Draws, Continues, ShufflesInEvaluation),
    "keeps its budget": (ForgetsTheRanks, CountsTokensWithoutPadding),
}


def test_a_right_batch_sampler_is_accepted():
    assert_accepted(BatchesPromises, Sorted)


@pytest.mark.parametrize(("promise", "wrong"), [(promise, wrong) for promise, all in BATCHES.items() for wrong in all])
def test_a_wrong_batch_sampler_is_rejected(promise, wrong):
    assert_rejected(BatchesPromises, promise, wrong)
