"""Texts encoded word by word have the tokens of the whole text."""

import random

import pytest
import tokenizers
from tokenizers import AddedToken, models, normalizers, pre_tokenizers

from framework.data.tokenization import tokenizer as tokenizer_module
from framework.data.tokenization.layouts import published_tokenizer
from framework.data.tokenization.tokenizer import Tokenizer
from framework.data.tokenization.trainers import BPETokenizer, BytesTokenizer, UnigramTokenizer, WordpieceTokenizer
from tests.data.published_toys import wordpiece_folder

# blanks of all kinds, marks that follow blanks, letters that change with their neighbors, joined characters, controls, special tokens
UNITS = [
    *" .,-\t\n\u00a0\u3000\u200b\u0301\u0308\u0338\u0e49\u0000\ufffd\u2028\u200d",
    *"abcXYZéÅİΣσςß中日ไท각ﷺ①ㄱ👩👧",
    "[MASK]",
    "ab",
    "x" * 40,
]
CHANCE = random.Random(0)
TEXTS = ["".join(CHANCE.choices([*UNITS, *[" "] * 12], k=CHANCE.randrange(40))) for _ in range(1500)]


def wordpiece(normalizer=None, pre_tokenizer=None, added=()):
    vocabulary = {token: id for id, token in enumerate(["[UNK]", *"abcdexyz▁ĠÉé", *(f"##{letter}" for letter in "abcdexyz"), "##ab"])}
    backend = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizer or normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizer or pre_tokenizers.BertPreTokenizer()
    backend.add_tokens(list(added))
    return Tokenizer(backend)


@pytest.fixture(params=["lowercase", "cased", "no accents", "published", "published, cased"])
def by_words(request, tmp_path):
    if request.param.startswith("published"):
        return (
            wordpiece(normalizers.BertNormalizer(lowercase=request.param == "published"))
            if "," in request.param
            else published_tokenizer(wordpiece_folder(tmp_path))
        )
    options = {"lowercase": request.param != "cased", "strip_accents": request.param == "no accents"}
    return WordpieceTokenizer(vocab_size=300, **options).train(lambda: TEXTS[:200])


def test_the_tokens_are_those_of_the_whole_text(by_words, monkeypatch):
    monkeypatch.setattr(tokenizer_module, "KEPT", 50)  # words are forgotten on the way
    assert by_words._by_words
    for text in TEXTS * 2:
        assert by_words.encode(text) == by_words.backend.encode(text, add_special_tokens=False).ids, repr(text)
    assert 0 < len(by_words._known) <= 50


@pytest.mark.parametrize(
    "other",
    [
        lambda: wordpiece(added=[AddedToken("a b", special=False)]),
        lambda: wordpiece(normalizers.Sequence([normalizers.BertNormalizer(), normalizers.Replace(tokenizers.Regex("a b"), "x")])),
        lambda: wordpiece(normalizers.Sequence([normalizers.Prepend("x"), normalizers.BertNormalizer()])),
        lambda: wordpiece(
            None, pre_tokenizers.Sequence([pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Metaspace(prepend_scheme="first")])
        ),
        lambda: wordpiece(None, pre_tokenizers.Split(" b", "merged_with_previous")),
        *(
            lambda trainer=trainer: trainer.train(lambda: TEXTS[:200])
            for trainer in (BPETokenizer(300), UnigramTokenizer(300), BytesTokenizer())
        ),
    ],
)
def test_other_tokenizers_encode_the_text_as_a_whole(other):
    tokenizer = other()
    assert not tokenizer._by_words
    for text in ("a b a b", "ab  a", *TEXTS[:100]):
        assert tokenizer.encode(text) == tokenizer.backend.encode(text, add_special_tokens=False).ids


def test_what_is_kept_cannot_be_changed_from_outside():
    tokenizer = BytesTokenizer().train(list)
    for _ in range(2):
        ids, offsets = tokenizer.encode_with_offsets("hi")
        assert (ids, offsets) == ([109, 110], [(0, 1), (1, 2)])
        ids.append(2)
        offsets.clear()
