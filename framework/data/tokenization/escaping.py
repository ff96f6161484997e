"""No text spells a special token, or the name of a byte.

A special token that is an entry of the vocabulary may be found in a text as any other piece is: `</s>` in T5's table has the best
score of all. Sentencepiece itself leaves such entries out when it reads text.
"""

import json
import re
from collections.abc import Iterable

import tokenizers
from tokenizers import Regex, pre_tokenizers

from framework.data.tokenization.tokenizer import BYTES


def escape_special_tokens(inner: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """The same; where special tokens can be spelled, text that does so is cut behind its first character before it is read."""
    inner.encode_special_tokens = True
    description = json.loads(inner.to_str())
    special = [token["content"] for token in description["added_tokens"] if token["special"]]
    spelled = [token for token in (*special, *BYTES) if len(token) > 1 and _is_read(token, inner)]
    if spelled:
        cut = pre_tokenizers.Split(Regex(_first_characters(spelled)), behavior="isolated")
        before = inner.pre_tokenizer
        inner.pre_tokenizer = pre_tokenizers.Sequence([before, cut]) if before else cut
    return inner


def _is_read(token: str, inner: tokenizers.Tokenizer) -> bool:
    id = inner.token_to_id(token)
    if id is None:
        return False
    for text in (token, f" {token}", f"a{token}"):
        encoding = inner.encode(text, add_special_tokens=False)
        spans = zip(encoding.ids, encoding.offsets, strict=True)
        # a piece that is no more than unknown has the id of the unknown token too, but not all of its characters
        if any(found == id and end - start >= len(token) for found, (start, end) in spans):
            return True
    return False


def _first_characters(tokens: Iterable[str]) -> str:
    rests: dict[str, list[str]] = {}
    for token in tokens:
        rests.setdefault(re.escape(token[0]), []).append(re.escape(token[1:]))
    return "|".join(f"{first}(?={'|'.join(sorted(rest))})" for first, rest in rests.items())
