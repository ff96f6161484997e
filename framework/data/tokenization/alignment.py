"""Subword alignment: the word of every token of a text, and windows of tokens for texts longer than the model."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

from framework.data.formats import TextTokenizer

Span = tuple[int, int]  # start, end (not included)
NO_WORD = -1  # word id of a token between words


def tokenize_words(text: str, words: Sequence[Span], tokenizer: TextTokenizer) -> tuple[list[int], list[int]]:
    """Token ids of a text, and for each token the index of its word, or NO_WORD.

    words: characters of each word, in order and disjoint. The text is split after each word before it is encoded, so no token belongs
    to two words. A word may have no token (a character that the tokenizer drops).

    >>> tokenizer = load("runs/last").tokenizer
    >>> ids, words = tokenize_words("good film", [(0, 4), (5, 9)], tokenizer)
    >>> sorted(set(words) - {NO_WORD})
    [0, 1]
    """
    ids: list[int] = []
    word_ids: list[int] = []
    cuts = [0, *(end for _, end in words), len(text)]
    for word, (begin, end) in enumerate(pairwise(cuts)):
        if begin == end:
            continue
        part_ids, offsets = tokenizer.encode_with_offsets(text[begin:end])
        start = words[word][0] - begin if word < len(words) else end - begin  # the characters before it are between words
        ids += part_ids
        word_ids += [word if to > start else NO_WORD for _, to in offsets]
    return ids, word_ids


def token_windows(tokens: int, size: int, overlap: int) -> list[Span]:
    """Windows of at most `size` tokens that cover all tokens; neighbors overlap by `overlap` tokens, the last two perhaps by more.

    >>> token_windows(10, 4, 1)
    [(0, 4), (3, 7), (6, 10)]
    """
    assert 0 <= overlap < size, f"windows of {size} tokens cannot overlap by {overlap}"
    if tokens <= size:
        return [(0, tokens)]
    starts = [*range(0, tokens - size, size - overlap), tokens - size]
    return [(start, start + size) for start in starts]


def best_windows(word_ids: Sequence[int], windows: Sequence[Span]) -> dict[int, int]:
    """For each word the window with most context on its shorter side; the ends of the text count as full context.

    For a word longer than a window it is the window with most of its tokens. windows: in order; every token is in one.

    >>> best_windows([0, 1, 2, 3, 4, 5], [(0, 4), (2, 6)])
    {0: 0, 1: 0, 2: 0, 3: 1, 4: 1, 5: 1}
    """
    spans: dict[int, Span] = {}  # word -> its tokens
    for token, word in enumerate(word_ids):
        if word != NO_WORD:
            spans[word] = (spans.get(word, (token, 0))[0], token + 1)
    total = len(word_ids)
    starts, stops = [start for start, _ in windows], [stop for _, stop in windows]

    def context(word: int, window: int) -> tuple[int, int]:
        (first, last), (start, stop) = spans[word], windows[window]
        inside = min(last, stop) - max(first, start)
        left, right = (total if start == 0 else first - start), (total if stop == total else stop - last)
        return inside, min(left, right)

    def best(word: int) -> int:
        first, last = spans[word]
        overlapping = range(bisect_right(stops, first), bisect_left(starts, last))  # windows that have a token of the word
        return max(overlapping, key=lambda window: context(word, window))

    return {word: best(word) for word in spans}
