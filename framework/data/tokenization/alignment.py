"""Words of a text, the pieces that a tokenizer makes of them, and windows of pieces for texts longer than the model."""

from collections.abc import Sequence
from itertools import pairwise

from framework.data.formats import TextTokenizer

Span = tuple[int, int]  # from, to
NO_WORD = -1  # the word of a piece that belongs to none


def tokenize_words(text: str, words: Sequence[Span], tokenizer: TextTokenizer) -> tuple[list[int], list[int]]:
    """The ids of a text's pieces, and for each the number of its word, or NO_WORD.

    words: characters from and to, in order and apart. The text is cut behind each word before it is encoded: no piece belongs to
    two words, whatever the tokenizer. A word may have no piece at all (a character that the tokenizer drops).

    >>> tokenizer = load("runs/last").tokenizer
    >>> ids, words = tokenize_words("good film", [(0, 4), (5, 9)], tokenizer)
    >>> sorted(set(words) - {NO_WORD})
    [0, 1]
    """
    ids: list[int] = []
    owners: list[int] = []
    cuts = [0, *(end for _, end in words), len(text)]
    for number, (begin, end) in enumerate(pairwise(cuts)):
        if begin == end:
            continue
        found, offsets = tokenizer.encode_with_offsets(text[begin:end])
        start = words[number][0] - begin if number < len(words) else end - begin  # what stands before is between words
        ids += found
        owners += [number if to > start else NO_WORD for _, to in offsets]
    return ids, owners


def windows(pieces: int, room: int, overlap: int) -> list[Span]:
    """Windows of at most `room` pieces that cover all of them; neighbors share `overlap` pieces, the last two perhaps more.

    >>> windows(10, 4, 1)
    [(0, 4), (3, 7), (6, 10)]
    """
    assert 0 <= overlap < room, f"windows of {room} pieces cannot share {overlap}"
    if pieces <= room:
        return [(0, pieces)]
    starts = [*range(0, pieces - room, room - overlap), pieces - room]
    return [(start, start + room) for start in starts]


def best_windows(owners: Sequence[int], spans: Sequence[Span]) -> dict[int, int]:
    """word -> the window in which it has most context on both sides; the ends of the text are as good as any context.

    A word that fits into no window has its home where most of it is.

    >>> best_windows([0, 1, 2, 3, 4, 5], [(0, 4), (2, 6)])
    {0: 0, 1: 0, 2: 0, 3: 1, 4: 1, 5: 1}
    """
    ends: dict[int, Span] = {}  # word -> its pieces
    for place, word in enumerate(owners):
        if word != NO_WORD:
            ends[word] = (ends.get(word, (place, 0))[0], place + 1)
    total = len(owners)

    def context(word: int, window: int) -> tuple[int, int]:
        (first, last), (start, stop) = ends[word], spans[window]
        inside = min(last, stop) - max(first, start)
        left, right = (total if start == 0 else first - start), (total if stop == total else stop - last)
        return inside, min(left, right)

    return {word: max(range(len(spans)), key=lambda window: context(word, window)) for word in ends}
