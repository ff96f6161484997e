"""A tokenizer.json that somebody else may have made, checked before the `tokenizers` library builds it.

The library runs in Rust, where nothing can interrupt it: what would make texts grow without end, or needs more memory than the file has
bytes, is refused by what the file says.
"""

import base64
import binascii
import math
from collections.abc import Iterator, Mapping
from typing import Any

from framework.errors import UserError
from framework.utils.typed import shown

COMPONENTS = 64  # normalizers, pre-tokenizers, ... of one kind, in one another
GROWTH = 256  # how many times as long the normalizers or the decoders may make a text
LONGEST = 4096  # characters of a token, and of a text in a component
LARGEST_ID = (1 << 22) - 1
FORMS = 18  # characters that NFKC makes of one, at most: U+FDFA
# How many times as long a component makes a text when others before it can put the worst characters there again; of NFKC the most frequent
# character among those 18. The first time it may be more.
_GROWTH = {"NFC": 2, "NFD": 2, "NFKC": 5, "NFKD": 5, "Lowercase": 2, "BertNormalizer": 3, "ByteLevel": 4}
_PLAIN = ("Strip", "StripAccents", "Prepend", "Nmt", "Fuse", "ByteFallback", "WordPiece", "Metaspace", "BPEDecoder", "CTC")
_INNER = ("normalizers", "pretokenizers", "decoders", "processors")


def check_description(description: Any, where: object) -> None:
    """Checks the value of a tokenizer.json. UserError: it has too many or too large components, or tokens that no vocabulary has."""
    if not isinstance(description, dict) or not isinstance(description.get("model"), dict):
        raise UserError(f"{where} is not a tokenizer.json of the `tokenizers` library: it has no model")
    for kind in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        found = list(components(description.get(kind), kind, where))
        factor = math.prod(growth(component, where) for component in found) if kind in ("normalizer", "decoder") else 1
        if factor > GROWTH:
            raise UserError(f"{where}: its {kind} can make a text {factor:,} times as long; at most {GROWTH} times is read")
    _check_tokens(description, where)


def components(node: Any, kind: str, where: object) -> Iterator[dict[str, Any]]:
    """The components of one kind, those inside sequences among them. UserError: there are too many, or one has a very long text."""
    pending, count = [node], 0
    while pending:
        component = pending.pop()
        if not isinstance(component, dict):
            continue  # null is none, and of anything else the library says what is wrong
        count += 1
        if count > COMPONENTS:
            raise UserError(f"{where}: its {kind} has more than {COMPONENTS} components")
        for inner in _INNER:
            pending += component[inner] if isinstance(component.get(inner), list) else ()
        values = [*component.values(), *(component["pattern"].values() if isinstance(component.get("pattern"), dict) else ())]
        for value in values:
            if isinstance(value, str) and len(value) > LONGEST and value is not component.get("precompiled_charsmap"):
                raise UserError(f"{where}: {shown(component.get('type'))} in its {kind} has a text of {len(value):,} characters")
        yield component


def growth(component: Mapping[str, Any], where: object) -> int:
    """The factor by which a normalizer or decoder can lengthen a text, at most."""
    type = component.get("type")
    if type == "Replace":
        content, pattern = component.get("content"), component.get("pattern")
        length = len(content) if isinstance(content, str) else 1
        literal = pattern.get("String") if isinstance(pattern, dict) else None
        if isinstance(literal, str) and literal:
            return max(1, math.ceil(length / len(literal)))
        return 1 + length  # an expression may match between any two characters
    if type == "Precompiled":
        return charsmap_growth(component.get("precompiled_charsmap"), where)
    return 1 if type in _PLAIN or type == "Sequence" else _GROWTH.get(str(type), 4)


def charsmap_growth(charsmap: Any, where: object) -> int:
    """The same factor of a precompiled_charsmap, bytes or base64: a table of characters, and their replacements, which end with 0.
    https://github.com/google/sentencepiece/blob/master/src/normalizer.cc"""
    try:
        data = charsmap if isinstance(charsmap, bytes) else base64.b64decode(charsmap or "")
    except (binascii.Error, ValueError, TypeError):
        raise UserError(f"{where} is damaged: its precompiled_charsmap is no base64") from None
    texts = data[4 + int.from_bytes(data[:4], "little") :].split(b"\0")
    longest = max(len(text.decode("utf-8", "replace")) for text in texts)
    return _GROWTH["NFKC"] if longest <= FORMS else longest


def _check_tokens(description: Mapping[str, Any], where: object) -> None:
    """UserError: a token is longer, or an id larger, than any vocabulary has."""
    vocabulary, added = description["model"].get("vocab"), description.get("added_tokens")
    tokens: list[Any] = []
    ids: list[Any] = []
    if isinstance(vocabulary, dict):
        tokens, ids = [*vocabulary], [*vocabulary.values()]
    elif isinstance(vocabulary, list):  # of a unigram model: pairs of a token and its score, in the order of their ids
        tokens = [pair[0] for pair in vocabulary if isinstance(pair, list) and pair]
    for token in added if isinstance(added, list) else ():
        if isinstance(token, dict):
            tokens.append(token.get("content"))
            ids.append(token.get("id"))
    if wrong := next((token for token in tokens if isinstance(token, str) and len(token) > LONGEST), None):
        raise UserError(f"{where}: it has a token of {len(wrong):,} characters; no vocabulary has one of more than {LONGEST:,}")
    if (other := next((id for id in ids if isinstance(id, int) and not 0 <= id <= LARGEST_ID), None)) is not None:
        raise UserError(f"{where}: it has the id {shown(other)}; those of a vocabulary are 0 to {LARGEST_ID:,} at most")


def library_error(error: BaseException, what: str) -> BaseException:
    """The UserError of what the library raises: plain exceptions, and panics where a file is not what it seems. Others as they are."""
    if type(error) is Exception or type(error).__name__ == "PanicException":
        return UserError(f"{what}: {' '.join(str(error).split())[:300]}")
    return error
