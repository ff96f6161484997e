"""The first tokens of a long text are those of the whole text, at a cost that does not depend on its length."""

import random

import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from framework.data.tokenization import beginning
from framework.data.tokenization.tokenizer import Tokenizer
from framework.data.tokenization.trainers import (
    BPETokenizer,
    BytesTokenizer,
    CharactersTokenizer,
    UnigramTokenizer,
    WordpieceTokenizer,
)
from framework.data.tokenization.words import WordsTokenizer

ALPHABETS = ["ab", "abcde fgh,.", "über ŞΣσ ß", "中文字符，。", "हिन्दी है ", "a\u0301e\u0308 \u200d👩‍👧", "  \t\n'll", "[PAD] <0x41> ▁Ġ"]


def long_text(seed, alphabet, length=6000):
    """Words of an alphabet, with runs of blanks and some long words."""
    chance = random.Random(seed)
    words = ["".join(chance.choice(alphabet) for _ in range(chance.choice([1, 2, 5, 9, 150]))) for _ in range(length // 10)]
    return "".join(word + chance.choice([" ", " ", " ", "  ", "\n", ""]) for word in words)


TEXTS = [long_text(seed, alphabet) for seed, alphabet in enumerate(ALPHABETS)]


def llama():
    """A sentencepiece model without a split into words: spaces are characters of the vocabulary."""
    letters = {letter for text in TEXTS for letter in text.replace(" ", "▁")}
    tokens = ["[UNK]", *(f"<0x{byte:02X}>" for byte in range(256)), *sorted(letters | {"▁"}), "ab", "▁▁", "▁a"]
    backend = tokenizers.Tokenizer(
        models.BPE(
            {token: id for id, token in enumerate(tokens)},
            [("a", "b"), ("▁", "▁"), ("▁", "a")],
            unk_token="[UNK]",
            byte_fallback=True,
        )
    )
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return Tokenizer(backend)


def crossing():
    """A vocabulary with a token of two words, whose beginnings depend on what follows."""
    tokenizer = llama()
    backend = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    backend.model = models.BPE({"a": 0, "▁": 1, "b": 2, "a▁": 3}, [("a", "▁")])
    return Tokenizer(backend)


def split_false():
    backend = tokenizers.Tokenizer(models.BPE({"a": 0, "▁": 1, "b": 2, "ab": 3}, [("a", "b")]))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return Tokenizer(backend)


TOKENIZERS = {
    "wordpiece": lambda: WordpieceTokenizer(vocab_size=300).train(lambda: iter(TEXTS)),
    "bpe": lambda: BPETokenizer(vocab_size=400).train(lambda: iter(TEXTS)),
    "prefix": lambda: BPETokenizer(vocab_size=400, prefix_space=True, lowercase=True).train(lambda: iter(TEXTS)),
    "unigram": lambda: UnigramTokenizer(vocab_size=500).train(lambda: iter(TEXTS)),
    "characters": lambda: CharactersTokenizer(lowercase=True).train(lambda: iter(TEXTS)),
    "bytes": lambda: BytesTokenizer().train(list),
    "words": lambda: WordsTokenizer().train(lambda: iter(TEXTS)),
    "llama": llama,
    "crossing": crossing,
    "split false": split_false,
}


@pytest.mark.matrix(0.5, axes=())
@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_first_tokens_are_those_of_the_whole_text(name, monkeypatch):
    tokenizer = TOKENIZERS[name]()
    monkeypatch.setattr(beginning, "LEAST", 20)
    monkeypatch.setattr("framework.data.tokenization.tokenizer.LEAST", 20)
    shorter = 0
    for text in TEXTS:
        whole = tokenizer.encode(text)
        for at_least in (1, 3, 17, 60):
            monkeypatch.setattr(beginning, "CHARACTERS", 1 + at_least % 3)
            first = tokenizer.encode(text, at_least)
            assert first == whole[: len(first)]
            assert len(first) >= min(at_least, len(whole))
            shorter += len(first) < len(whole)
    assert bool(shorter) == (name != "crossing")


def test_the_cost_does_not_depend_on_the_length(monkeypatch):
    tokenizer = TOKENIZERS["bpe"]()
    read = []
    encode = tokenizer.backend.encode

    class Backend:
        """Counts the characters that are tokenized."""

        def encode(self, text, add_special_tokens):
            read.append(len(text))
            return encode(text, add_special_tokens=add_special_tokens)

    text = "a word and another one " * 400_000
    tokenizer.encode(text[:10_000], at_least=1)  # the beginning is prepared
    tokenizer._beginning.backend = Backend()
    assert len(tokenizer.encode(text, at_least=64)) >= 64
    assert sum(read) < 10_000


@pytest.mark.parametrize("text", ["x" * 6000, "short"])
def test_a_text_without_words_or_of_few_characters_is_encoded_whole(text):
    tokenizer = TOKENIZERS["bpe"]()
    assert tokenizer.encode(text, at_least=3) == tokenizer.encode(text)


@pytest.mark.matrix(0.4, axes=())
@pytest.mark.parametrize("name", ["wordpiece", "bpe", "prefix", "unigram", "characters"])
def test_a_tokenizer_learns_the_same_from_the_parts_of_a_text(name, monkeypatch):
    whole = TOKENIZERS[name]()
    monkeypatch.setattr(beginning, "PART", 50)
    parts = [part for text in TEXTS for part in beginning.in_parts(text)]
    assert len(parts) > 10 * len(TEXTS) and "".join(parts) == "".join(TEXTS)
    monkeypatch.setitem(globals(), "TEXTS", parts)
    assert TOKENIZERS[name]().to_json() == whole.to_json()
