"""Text to numbers and back."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import tokenizers
from tokenizers import AddedToken

from framework.errors import UserError
from framework.utils.files import write_text

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # one process; threads would also break the fork of loader workers

NAMES = {  # of special tokens, ours and those that published tokenizers use
    "padding": ("[PAD]", "<pad>", "<|padding|>"),
    "begin": ("[BEGIN]", "[CLS]", "<s>", "<bos>", "<|begin_of_text|>", "<|endoftext|>"),
    "end": ("[END]", "[SEP]", "</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>"),
    "unknown": ("[UNK]", "<unk>", "<|unk|>"),
    "mask": ("[MASK]", "<mask>"),
}
SPACES = ("▁", "Ġ")  # how sentencepiece and byte-level vocabularies write a space
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]  # how `tokenizers` writes a byte that stands for itself


class Tokenizer:
    """Encodes without special tokens (a format adds those it wants) and decodes. A text is never read as a special token.

    names: the special tokens, by the keys of NAMES, where somebody says so; None = there is none. Those not named are looked for.
    min_vocab_size: ids at least, where a model's table has more rows than there are tokens.
    start: id of what stands before the first token of a written text, where that is not the begin token.
    """

    def __init__(
        self, inner: tokenizers.Tokenizer, names: Mapping[str, str | None] | None = None, min_vocab_size: int = 0, start: int | None = None
    ):
        inner.no_padding()
        inner.no_truncation()
        inner.encode_special_tokens = True  # a text that says "[MASK]" is a text
        self.backend, self.special_tokens, self.min_vocab_size, self.start = inner, dict(names or {}), min_vocab_size, start
        self._byte_lengths: list[int] | None = None
        self._prefix = False
        candidates = {name: (self.special_tokens[name],) if name in self.special_tokens else tokens for name, tokens in NAMES.items()}
        found = {name: [inner.token_to_id(token) for token in tokens if token is not None] for name, tokens in candidates.items()}
        self.special_ids: dict[str, int | None] = {name: next((id for id in ids if id is not None), None) for name, ids in found.items()}
        if start is not None:
            self.special_ids["start"] = start

    def with_special_tokens(self, tokens: Sequence[str]) -> "Tokenizer":
        """The same with these special tokens: those it lacks are added behind its last id. UserError: there is no room behind it."""
        if not tokens:
            return self
        inner = tokenizers.Tokenizer.from_str(self.to_json())
        add(inner, [AddedToken(token, special=True, normalized=False) for token in tokens])
        return Tokenizer(inner, self.special_tokens, self.min_vocab_size, self.start)

    @property
    def vocab_size(self) -> int:
        """Ids go from 0 to one below this; a vocabulary with holes counts the holes."""
        return max(self.min_vocab_size, *(id + 1 for id in self.backend.get_vocab(with_added_tokens=True).values()))

    def encode(self, text: str) -> list[int]:
        return list(self.backend.encode(text, add_special_tokens=False).ids)

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """ids, and the characters (from, to) of the text that each stands for."""
        encoding = self.backend.encode(text, add_special_tokens=False)
        return list(encoding.ids), list(encoding.offsets)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.backend.decode(list(ids), skip_special_tokens=True))

    def byte_lengths(self, ids: Sequence[int]) -> list[int]:
        """UTF-8 bytes that each id of a text, from its beginning, stands for: special tokens for none, and the first not for the space
        that some tokenizers put before a text."""
        if self._byte_lengths is None:
            self._byte_lengths = byte_lengths(self.backend)
            self._prefix = prefixed(self.backend)
        lengths = [self._byte_lengths[id] for id in ids]
        if lengths and self._prefix:
            lengths[0] = max(0, lengths[0] - 1)
        return lengths

    def to_json(self) -> str:
        return str(self.backend.to_str(pretty=False))

    def save(self, path: Path) -> None:
        write_text(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """UserError: no such file, or not a tokenizer."""
        return cls(read_json(path))


def read_json(path: Path) -> tokenizers.Tokenizer:
    """A tokenizer.json. UserError: no such file, or not one."""
    if not path.is_file():
        raise UserError(f"{path} does not exist; a tokenizer.json of the `tokenizers` library is wanted")
    try:
        return tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises Exception itself
        raise UserError(f"{path} is not a tokenizer.json of the `tokenizers` library: {error}") from None


def add(inner: tokenizers.Tokenizer, tokens: Sequence[AddedToken]) -> None:
    """Marks tokens as the library's added ones; those that are no entries yet stand behind the last id. UserError: an id is taken."""
    taken = inner.get_vocab(with_added_tokens=True)
    inner.add_tokens(list(tokens))
    ids = set(taken.values())
    for token in tokens:
        # the library counts entries to find the next id, which is somebody else's where the ids have holes
        if token.content not in taken and inner.token_to_id(token.content) in ids:
            raise UserError(
                f"{token.content!r} cannot be added: the ids of the vocabulary have holes ({len(taken):,} entries, last id {max(ids):,})"
            )


def prefixed(inner: tokenizers.Tokenizer) -> bool:
    """Whether a text gets a space before it, as its other words have."""
    tokens = inner.encode("a", add_special_tokens=False).tokens
    return bool(tokens) and tokens[0].startswith(SPACES)


def byte_lengths(inner: tokenizers.Tokenizer) -> list[int]:
    """Bytes of every id, by the way the decoder joins tokens."""
    description = json.loads(inner.to_str())
    decoder = json.dumps(description["decoder"] or {}, ensure_ascii=False)
    added = {token["id"]: token for token in description["added_tokens"]}
    vocabulary = inner.get_vocab(with_added_tokens=True)
    lengths = [0] * (max(vocabulary.values()) + 1)
    singles = set(BYTES) if "ByteFallback" in decoder else set()
    for token, id in vocabulary.items():
        if id in added:
            lengths[id] = 0 if added[id]["special"] else len(token.encode())
        elif "ByteLevel" in decoder:
            lengths[id] = len(token)  # one printable character stands for each byte
        elif token in singles:
            lengths[id] = 1
        elif "WordPiece" in decoder:
            lengths[id] = len(token.removeprefix("##").encode())
        else:
            lengths[id] = len((token.replace("▁", " ") if "▁" in decoder else token).encode())
    return lengths
