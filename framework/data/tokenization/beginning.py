"""The first tokens of a long text, without tokenizing all of it."""

import json
import re
from collections.abc import Iterator

import tokenizers

_BETWEEN_WORDS = re.compile(r"(?<=\S) (?=\S)")
_ACROSS_WORDS = re.compile(r"[^\s▁Ġ][\s▁Ġ]")  # a token, or an added token, that has characters of two words
CHARACTERS = 16  # of the text that are tokenized at first, for each token; the shorter text is tokenized as a whole
LEAST = 4096  # characters at least
PART = 1 << 16  # characters of a text that a tokenizer is trained on at once, or a few more


def in_parts(text: str) -> Iterator[str]:
    """A text in parts, cut at spaces between words: a tokenizer learns the same from them as from the whole text, with less memory."""
    start = 0
    while cut := _BETWEEN_WORDS.search(text, start + PART):
        yield text[start : cut.start()]
        start = cut.start()
    yield text[start:]


class Beginning:
    """Encodes the beginning of a text, as far as no later character can change its tokens.

    Tokenizers that split a text into words before they encode it: all words but the last two of the part that was read, because a token
    never crosses a word. Sentencepiece models without such a split: up to a space, if no token of the vocabulary has a space after another
    character. Characters and bytes: up to any character. Otherwise, and where a text has no such place, the text is encoded as a whole.
    """

    def __init__(self, backend: tokenizers.Tokenizer):
        description = json.loads(backend.to_str())
        model = description["model"]
        splitter = backend.pre_tokenizer
        added = [token["content"] for token in description["added_tokens"] if not token["special"]]
        self.backend = backend
        self.never = any(_ACROSS_WORDS.search(token) for token in added)
        self.words = splitter is not None and len(splitter.pre_tokenize_str("a b")) > 1
        self.units = not self.words and model["type"] == "BPE" and not model["merges"] and not model.get("ignore_merges")
        self.spaces = (
            model["type"] in ("BPE", "Unigram")
            and not self.words
            and not self.units
            and not any(map(_ACROSS_WORDS.search, backend.get_vocab()))
        )

    def encode(self, text: str, at_least: int) -> list[int] | None:
        """At least so many first token ids, if they are found without all of the text."""
        size = max(LEAST, CHARACTERS * at_least)
        while size < len(text) and not self.never:
            if len(ids := self._part(text, size)) >= at_least:
                return ids
            size *= 4
        return None

    def _part(self, text: str, size: int) -> list[int]:
        if self.spaces:
            cut = _BETWEEN_WORDS.search(text, size)
            return self._ids(text[: cut.start()]) if cut else []
        if self.units:
            return self._ids(text[:size])[:-8]
        if not self.words:
            return []
        encoding = self.backend.encode(text[:size], add_special_tokens=False)
        words = [-1 if word is None else word for word in encoding.word_ids]
        last = max(words, default=0) - 1
        return [id for id, word in zip(encoding.ids, words, strict=True) if word < last]

    def _ids(self, text: str) -> list[int]:
        return list(self.backend.encode(text, add_special_tokens=False).ids)
