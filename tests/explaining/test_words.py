"""Words and pieces of tokens: byte-level, WordPiece, letters of several bytes, special tokens."""

import numpy as np
import pytest

from framework.data.tokenization.trainers import BPETokenizer, BytesTokenizer, UnigramTokenizer, WordpieceTokenizer
from framework.explaining.words import cosine, pieces, vectors, words

TEXTS = ["The apple fell.", "Größe und Maß, naïve 東京 apples!", "the apple of the keynote"] * 3


@pytest.fixture(scope="module", params=["bytes", "bpe", "unigram", "wordpiece"])
def tokenizer(request):
    kinds = {"bytes": BytesTokenizer(), "bpe": BPETokenizer(300), "unigram": UnigramTokenizer(300), "wordpiece": WordpieceTokenizer(80)}
    return kinds[request.param].train(lambda: iter(TEXTS))


@pytest.mark.parametrize("text", TEXTS[:3])
def test_words_are_those_of_the_text(tokenizer, text):
    ids = [tokenizer.special_ids["begin"], *tokenizer.encode(text), tokenizer.special_ids["end"]]
    found, spelled = words(tokenizer, ids), tokenizer.decode(ids)
    expected = ["".join(filter(str.isalnum, word)) for word in spelled.replace("東京", " 東 京 ").split()]
    assert [word.text for word in found] == [word for word in expected if word]
    places = [place for word in found for place in word.tokens]
    assert places == sorted(places) and 0 not in places and len(ids) - 1 not in places
    shown = pieces(tokenizer, ids)
    assert len(shown) == len(ids) and shown[0] == "[BEGIN]" and shown[-1] == "[END]"
    for word in found:
        if word.text.isascii():  # a token may be a byte of another letter, or have punctuation beside the word
            assert word.text in "".join(shown[place] for place in word.tokens)


def test_vectors_and_cosines():
    states = np.arange(24.0).reshape(2, 4, 3)  # two layers, four tokens
    ids_of = [type("W", (), {"tokens": (1, 2)})(), type("W", (), {"tokens": (3,)})()]
    found = vectors(states, ids_of)
    np.testing.assert_allclose(found[0], [[4.5, 5.5, 6.5], [9, 10, 11]])
    assert cosine(np.array([1.0, 0]), np.array([1.0, 1])) == pytest.approx(0.5**0.5)
    assert cosine(np.zeros(2), np.ones(2)) == 0
