"""Tokenizer: text to token ids and back, on top of the `tokenizers` library."""

import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import tokenizers
from tokenizers import AddedToken

from framework.data.tokenization.beginning import LEAST, Beginning
from framework.data.tokenization.by_words import splits_at_blanks
from framework.data.tokenization.description import check_description, library_error
from framework.errors import UserError
from framework.utils.files import write_text
from framework.utils.json_files import parse_json, read_bytes
from framework.utils.typed import shown

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # threads would break the fork of loader workers

KNOWN_SPECIAL_TOKENS = {  # role -> usual names, the ones of this project first
    "padding": ("[PAD]", "<pad>", "<|padding|>"),
    "begin": ("[BEGIN]", "[CLS]", "<s>", "<bos>", "<|begin_of_text|>", "<|endoftext|>"),
    "end": ("[END]", "[SEP]", "</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>"),
    "unknown": ("[UNK]", "<unk>", "<|unk|>"),
    "mask": ("[MASK]", "<mask>"),
}
SPACES = ("▁", "Ġ")  # a space in sentencepiece and in byte-level vocabularies
LONGEST = 32  # characters of a text whose encoding is kept, because it may be a word
KEPT = 1 << 15  # such texts, about 15 MB
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]  # byte-fallback tokens of `tokenizers`
Pieces = tuple[tuple[int, ...], tuple[tuple[int, int], ...]]  # ids, and the characters [from, to) of each


class Tokenizer:
    """Encodes texts without special tokens, which text formats add, and decodes ids. Text is never encoded as a special token.

    special_tokens: role (a key of KNOWN_SPECIAL_TOKENS) -> token, None if there is none. Roles left out are detected by the usual names.
    min_vocab_size: lower bound of vocab_size, for embedding tables with more rows than there are tokens.
    start: decoder_start_token_id, if a decoder does not start from the begin token.

    >>> tokenizer = Part("tokenizer/bytes")().train(list)
    >>> isinstance(tokenizer, Tokenizer), tokenizer.encode("hi"), tokenizer.special_ids["mask"]
    (True, [109, 110], 4)
    """

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        special_tokens: Mapping[str, str | None] | None = None,
        min_vocab_size: int = 0,
        start: int | None = None,
    ):
        backend.no_padding()
        backend.no_truncation()
        backend.encode_special_tokens = True  # a text "[MASK]" is no special token
        self.backend, self.special_tokens, self.min_vocab_size, self.start = backend, dict(special_tokens or {}), min_vocab_size, start
        self._known: dict[str, Pieces] = {}
        self.special_ids: dict[str, int | None] = {}
        for role, usual in KNOWN_SPECIAL_TOKENS.items():
            tokens = (self.special_tokens[role],) if role in self.special_tokens else usual
            ids = (backend.token_to_id(token) for token in tokens if token is not None)
            self.special_ids[role] = next((id for id in ids if id is not None), None)
        if start is not None:
            self.special_ids["start"] = start

    def with_special_tokens(self, tokens: Sequence[str]) -> "Tokenizer":
        """A copy with these special tokens; new ones are added after the last id. UserError: the vocabulary has gaps."""
        if not tokens:
            return self
        backend = tokenizers.Tokenizer.from_str(self.to_json())
        add_tokens(backend, [AddedToken(token, special=True, normalized=False) for token in tokens])
        return Tokenizer(backend, self.special_tokens, self.min_vocab_size, self.start)

    @property
    def vocab_size(self) -> int:
        """The largest id plus one, at least min_vocab_size."""
        return max(self.min_vocab_size, *(id + 1 for id in self.backend.get_vocab(with_added_tokens=True).values()))

    def encode(self, text: str, at_least: int | None = None) -> list[int]:
        """Token ids. at_least: of a long text, so many first ones are enough; the others may be left out, and cost nothing."""
        if at_least is not None and len(text) > LEAST:
            if (first := self._beginning.encode(text, at_least)) is not None:
                return first
        if not self._by_words:
            return list(self._encoded(text).ids)
        ids: list[int] = []
        known = self._known
        for word in text.split(" "):
            ids.extend((known.get(word) or self._pieces(word))[0])
        return ids

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """ids, and for each its characters [from, to) in the text."""
        ids, offsets = self._pieces(text)
        return list(ids), list(offsets)

    def _encoded(self, text: str) -> tokenizers.Encoding:
        """UserError: the tokenizer cannot encode the text; nobody's own trained here refuses one."""
        try:
            return self.backend.encode(text, add_special_tokens=False)
        except BaseException as error:
            raise library_error(error, f"the tokenizer cannot encode {shown(text)}") from None

    def decode(self, ids: Sequence[int]) -> str:
        """UserError: the tokenizer cannot decode the ids."""
        try:
            return str(self.backend.decode(list(ids), skip_special_tokens=True))
        except BaseException as error:
            raise library_error(error, "the tokenizer cannot decode its own ids") from None

    def byte_lengths(self, ids: Sequence[int]) -> list[int]:
        """Number of UTF-8 bytes of each token of a text, from its start: 0 for special tokens, without the space that some tokenizers put
        before a text."""
        lengths = [self._byte_lengths[id] for id in ids]
        if lengths and self._prefixes_space:
            lengths[0] = max(0, lengths[0] - 1)
        return lengths

    @cached_property
    def _by_words(self) -> bool:
        return splits_at_blanks(self.backend)

    def _pieces(self, text: str) -> Pieces:
        """The ids of a text and their characters, kept if it is as short as a word."""
        if (found := self._known.get(text)) is None:
            encoding = self._encoded(text)
            found = tuple(encoding.ids), tuple(encoding.offsets)
            if len(text) <= LONGEST:
                if len(self._known) == KEPT:
                    self._known.clear()
                self._known[text] = found
        return found

    @cached_property
    def _beginning(self) -> Beginning:
        return Beginning(self.backend)

    @cached_property
    def _byte_lengths(self) -> list[int]:
        """Number of UTF-8 bytes of every id, which depends on the decoder."""
        description = json.loads(self.backend.to_str())
        decoder = json.dumps(description["decoder"] or {}, ensure_ascii=False)
        added = {token["id"]: token for token in description["added_tokens"]}
        vocabulary = self.backend.get_vocab(with_added_tokens=True)
        lengths = [0] * (max(vocabulary.values()) + 1)
        single_bytes = set(BYTES) if "ByteFallback" in decoder else set()
        for token, id in vocabulary.items():
            if id in added:
                lengths[id] = 0 if added[id]["special"] else len(token.encode())
            elif "ByteLevel" in decoder:
                lengths[id] = len(token)  # one printable character a byte
            elif token in single_bytes:
                lengths[id] = 1
            elif "WordPiece" in decoder:
                lengths[id] = len(token.removeprefix("##").encode())
            else:
                lengths[id] = len((token.replace("▁", " ") if "▁" in decoder else token).encode())
        return lengths

    @cached_property
    def _prefixes_space(self) -> bool:
        """Whether the tokenizer puts a space before a text."""
        tokens = self.backend.encode("a", add_special_tokens=False).tokens
        return bool(tokens) and tokens[0].startswith(SPACES)

    def to_json(self) -> str:
        return str(self.backend.to_str(pretty=False))

    def save(self, path: Path) -> None:
        write_text(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """UserError: the file does not exist or is no tokenizer.json."""
        return cls(read_json(path))


def read_json(path: Path) -> tokenizers.Tokenizer:
    """Load a tokenizer.json. UserError: the file does not exist or is damaged."""
    if not path.is_file():
        raise UserError(f"{path} does not exist and must be a tokenizer.json of the `tokenizers` library")
    content = read_bytes(path)
    check_description(parse_json(content, path), path)
    try:
        return tokenizers.Tokenizer.from_str(content.decode("utf-8"))
    except BaseException as error:
        raise library_error(error, f"{path} is not a tokenizer.json of the `tokenizers` library") from None


def add_tokens(backend: tokenizers.Tokenizer, tokens: Sequence[AddedToken]) -> None:
    """Add tokens; those that are not in the vocabulary get new ids after the last one. UserError: the vocabulary has gaps."""
    vocabulary = backend.get_vocab(with_added_tokens=True)
    backend.add_tokens(list(tokens))
    ids = set(vocabulary.values())
    for token in tokens:
        # the library takes the number of entries as the next id, which another token has if there are gaps
        if token.content not in vocabulary and backend.token_to_id(token.content) in ids:
            raise UserError(
                f"{token.content!r} cannot be added: the vocabulary has gaps ({len(vocabulary):,} entries, last id {max(ids):,})"
            )
