"""Escaping: keeps user text from being tokenized as special or byte tokens.

A special token that is an entry of the vocabulary can match text like any other piece: in T5's table `</s>` has the highest score.
Sentencepiece itself ignores such entries when it encodes.
"""

import json
import re
from collections.abc import Iterable

import tokenizers
from tokenizers import Regex, pre_tokenizers

from framework.data.tokenization.tokenizer import BYTES


def escape_special_tokens(backend: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """The same tokenizer; text that matches a special or byte token is split after its first character before it is encoded."""
    backend.encode_special_tokens = True
    description = json.loads(backend.to_str())
    special = [token["content"] for token in description["added_tokens"] if token["special"]]
    matched = [token for token in (*special, *BYTES) if len(token) > 1 and _matches_text(token, backend)]
    if matched:
        split = pre_tokenizers.Split(Regex(_first_characters(matched)), behavior="isolated")
        existing = backend.pre_tokenizer
        backend.pre_tokenizer = pre_tokenizers.Sequence([existing, split]) if existing else split
    return backend


def _matches_text(token: str, backend: tokenizers.Tokenizer) -> bool:
    """Whether a text with the characters of a token is encoded as this token."""
    id = backend.token_to_id(token)
    if id is None:
        return False
    for text in (token, f" {token}", f"a{token}"):
        encoding = backend.encode(text, add_special_tokens=False)
        spans = zip(encoding.ids, encoding.offsets, strict=True)
        # an unknown piece also has the id of the unknown token, but fewer characters
        if any(other == id and end - start >= len(token) for other, (start, end) in spans):
            return True
    return False


def _first_characters(tokens: Iterable[str]) -> str:
    """A regular expression for the first character of each token, followed by its other characters."""
    rests: dict[str, list[str]] = {}
    for token in tokens:
        rests.setdefault(re.escape(token[0]), []).append(re.escape(token[1:]))
    return "|".join(f"{first}(?={'|'.join(sorted(rest))})" for first, rest in rests.items())
