"""Unknown tokens of texts, counted while they are encoded."""

from collections.abc import Sequence
from dataclasses import dataclass

from framework.data.formats import TextTokenizer

MANY = 0.01  # share of characters in unknown tokens from which on the user is told what to do
READ = 20_000  # first characters of a text that count for the share
SHOWN = 20  # characters of an example


@dataclass
class UnknownTokens:
    """Unknown tokens of texts: their number, that of characters in them and of all characters that were counted, and an example."""

    tokens: int = 0
    lost: int = 0
    characters: int = 0
    example: str = ""

    def __add__(self, later: "UnknownTokens") -> "UnknownTokens":
        counts = self.tokens + later.tokens, self.lost + later.lost, self.characters + later.characters
        return UnknownTokens(*counts, self.example or later.example)


class CountingTokenizer:
    """A tokenizer that counts its unknown tokens, and the characters that they stand for.

    unknown: the id of the unknown token; None if the tokenizer has none.
    """

    def __init__(self, tokenizer: TextTokenizer, unknown: int | None):
        self.tokenizer, self.id = tokenizer, unknown
        self.found = UnknownTokens()

    def encode(self, text: str, at_least: int | None = None) -> list[int]:
        ids = self.tokenizer.encode(text, at_least)
        self._count(text, ids)
        return ids

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        ids, offsets = self.tokenizer.encode_with_offsets(text)
        self._count(text, ids)
        return ids, offsets

    def decode(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(ids)

    def byte_lengths(self, ids: Sequence[int]) -> list[int]:
        return self.tokenizer.byte_lengths(ids)

    def _count(self, text: str, ids: Sequence[int]) -> None:
        text = text[:READ]
        self.found.characters += len(text)
        if self.id is None or self.id not in ids:
            return
        self.found.tokens += ids.count(self.id)
        for id, (start, end) in zip(*self.tokenizer.encode_with_offsets(text), strict=True):
            if id == self.id:
                self.found.lost += end - start
                self.found.example = self.found.example or text[start:end][:SHOWN]

    def remarks(self) -> list[str]:
        """A sentence about many unknown tokens, with the override that leaves none."""
        found = self.found
        if found.lost <= MANY * found.characters:
            return []
        share = found.lost / found.characters
        return [
            f"{share:.1%} of the characters are in unknown tokens, such as {found.example!r}, which the model cannot "
            "tell apart: tokenizer=unigram, tokenizer=bpe and tokenizer=bytes have no unknown tokens; for pretrained weights take a model "
            "whose vocabulary has this script"
        ]
