"""Tokens as they are read, and the words that they are pieces of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from framework.data.tokenization.tokenizer import Tokenizer
from framework.utils.words import word_spans

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Word:
    """A word of a text: its letters, and the places of its tokens."""

    text: str
    tokens: tuple[int, ...]


def pieces(tokenizer: Tokenizer, ids: Sequence[int]) -> list[str]:
    """The text of each token, without blanks around it; the name of a token without characters of its own, as of a special one."""
    text = tokenizer.decode(ids)
    spelled = (text[start:end] for start, end in _spans(tokenizer, ids))
    return [piece or str(tokenizer.backend.id_to_token(id)) for piece, id in zip(spelled, ids, strict=True)]


def words(tokenizer: Tokenizer, ids: Sequence[int]) -> list[Word]:
    """The words that tokens spell, without punctuation and special tokens."""
    text, spans, found = tokenizer.decode(ids), _spans(tokenizer, ids), []
    for start, end in word_spans(text):
        inside = tuple(place for place, (first, last) in enumerate(spans) if max(first, start) < min(last, end))
        if inside and any(character.isalnum() for character in text[start:end]):
            found.append(Word(text[start:end], inside))
    return found


def _spans(tokenizer: Tokenizer, ids: Sequence[int]) -> list[tuple[int, int]]:
    """The characters of the decoded text that each token adds, from and to, without blanks around them.

    A token's own text depends on its neighbours (a byte of a letter, the blank before a word), so texts of growing length are compared with
    the whole one.
    """
    whole, reached, spans = tokenizer.decode(ids), 0, []
    for count in range(1, len(ids) + 1):
        end = max(reached, _common(tokenizer.decode(ids[:count]), whole))
        piece = whole[reached:end]
        spans.append((end - len(piece.lstrip()), reached + len(piece.rstrip())) if piece.strip() else (end, end))
        reached = end
    return spans


def _common(one: str, other: str) -> int:
    """The length of the common beginning of two texts."""
    if other.startswith(one):
        return len(one)
    return next(place for place in range(len(one)) if one[place] != other[place : place + 1])


def vectors(states: Array, found: Sequence[Word]) -> Array:
    """The vectors (L + 1, W, D) of words, the mean of those of their tokens, from those of the tokens (L + 1, T, D)."""
    return np.stack([states[:, list(word.tokens)].mean(axis=1) for word in found], axis=1)


def cosine(one: Array, other: Array) -> Array:
    """The cosine of vectors (..., D) with others; 0 where one of them is zero."""
    lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    products = (one * other).sum(axis=-1)
    found: Array = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    return found
