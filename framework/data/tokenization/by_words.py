"""Tokenizers that encode a text word by word, so that a word that is known need not be encoded again."""

import json

import tokenizers

from framework.data.tokenization.description import components

NORMALIZERS = ("Sequence", "BertNormalizer", "NFC", "NFD", "Lowercase", "StripAccents")
PRE_TOKENIZERS = ("Sequence", "BertPreTokenizer", "Split", "Punctuation", "Digits")


def splits_at_blanks(backend: tokenizers.Tokenizer) -> bool:
    """Whether the tokens of a text are those of its parts between blanks, one after the other.

    So it is with BERT's words: they are split at blanks, which are in no token, whatever comes before and after. The normalizers that are
    allowed change each character by itself, or with the marks that follow it, and compose none with a blank.
    """
    description = json.loads(backend.to_str())
    normalizers = components(description["normalizer"], "normalizer", "the tokenizer")
    pre_tokenizers = components(description["pre_tokenizer"], "pre_tokenizer", "the tokenizer")
    first = description["pre_tokenizer"] or {}
    while first.get("type") == "Sequence":
        first = next(iter(first["pretokenizers"]), {})
    return (
        description["model"]["type"] == "WordPiece"
        and first.get("type") == "BertPreTokenizer"
        and all(each["type"] in PRE_TOKENIZERS for each in pre_tokenizers)
        and all(each["type"] in NORMALIZERS for each in normalizers)
        and all(token["special"] for token in description["added_tokens"])
    )
