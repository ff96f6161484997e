"""Five ways to make a tokenizer; `pretrained.py` has the sixth.

Every way ends in one `tokenizer.json` of the `tokenizers` library, so that a run can be loaded anywhere. Training gives the
same file for the same texts, in any process: see `WordpieceTokenizer` and `unigram.py` for what that took.
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal

import tokenizers
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, trainers

from framework.data.tokenization import unigram
from framework.data.tokenization.tokenizer import BYTES, Tokenizer
from framework.registry import register

SPECIAL = ("[PAD]", "[BEGIN]", "[END]", "[UNK]", "[MASK]")
Texts = Callable[[], Iterable[str]]  # can be read more than once


class TokenizerTrainer:
    """Makes a tokenizer of the training texts. The options of a subclass are all it depends on."""

    needs_texts: ClassVar[bool] = True  # False: needs no text

    def train(self, texts: Texts) -> Tokenizer:
        raise NotImplementedError

    def origin(self) -> Any:
        """What the tokenizer is made of beside the texts, JSON-able."""
        return [type(self).__name__, vars(self), tokenizers.__version__]


@register("tokenizer")
class WordpieceTokenizer(TokenizerTrainer):
    """Words, and pieces of rare words, split greedily. Schuster and Nakajima 2012; BERT's: Devlin et al. 2019, section 3, https://arxiv.org/abs/1810.04805

    vocab_size: entries, special ones included.
    lowercase: fold capitals.
    strip_accents: drop accents.
    min_frequency: pairs rarer than this are not joined.

    The library's own trainer numbers the continuing characters (##a) in an order that differs from process to process, and ties
    between pairs are broken by number. Handing it these characters in sorted order makes the result the same everywhere.
    """

    def __init__(self, vocab_size: int = 8000, lowercase: bool = True, strip_accents: bool = False, min_frequency: int = 2):
        self.vocab_size, self.lowercase, self.strip_accents, self.min_frequency = vocab_size, lowercase, strip_accents, min_frequency

    def train(self, texts: Texts) -> Tokenizer:
        inner = tokenizers.Tokenizer(models.BPE())  # WordPiece vocabularies are learned by joining pairs, only applied differently
        inner.normalizer = normalizers.BertNormalizer(lowercase=self.lowercase, strip_accents=self.strip_accents)
        inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        inside: set[str] = set()
        for text in texts():
            for word, _ in inner.pre_tokenizer.pre_tokenize_str(inner.normalizer.normalize_str(text)):
                inside.update(word[1:])
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocab_size,
            min_frequency=self.min_frequency,
            special_tokens=[*SPECIAL, *(f"##{character}" for character in sorted(inside))],
            continuing_subword_prefix="##",
            show_progress=False,
        )
        inner.train_from_iterator(texts(), trainer)
        vocabulary = inner.get_vocab(with_added_tokens=True)
        trained = tokenizers.Tokenizer(models.WordPiece(dict(sorted(vocabulary.items(), key=lambda item: item[1])), unk_token="[UNK]"))
        trained.normalizer, trained.pre_tokenizer = inner.normalizer, inner.pre_tokenizer
        trained.decoder = decoders.WordPiece(prefix="##")
        return finished(trained)


@register("tokenizer")
class BPETokenizer(TokenizerTrainer):
    """Byte-level byte-pair encoding: any text comes back exactly. Sennrich et al. 2016, https://arxiv.org/abs/1508.07909; on bytes: GPT-2

    vocab_size: entries, the 256 bytes and the special ones included.
    lowercase: fold capitals.
    min_frequency: pairs rarer than this are not joined.
    prefix_space: put a space before the text, so that its first word is the same token as inside a sentence.
    """

    def __init__(self, vocab_size: int = 8000, lowercase: bool = False, min_frequency: int = 2, prefix_space: bool = False):
        self.vocab_size, self.lowercase, self.min_frequency, self.prefix_space = vocab_size, lowercase, min_frequency, prefix_space

    def train(self, texts: Texts) -> Tokenizer:
        inner = tokenizers.Tokenizer(models.BPE())
        if self.lowercase:
            inner.normalizer = normalizers.Lowercase()
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=self.prefix_space)
        inner.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocab_size,
            min_frequency=self.min_frequency,
            special_tokens=list(SPECIAL),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        inner.train_from_iterator(texts(), trainer)
        return finished(inner)


@register("tokenizer")
class UnigramTokenizer(TokenizerTrainer):
    """The likeliest split by a unigram model of pieces; unseen characters become bytes. Kudo 2018, section 3, https://arxiv.org/abs/1804.10959

    vocab_size: entries, the 256 bytes and the special ones included.
    lowercase: fold capitals.
    longest: characters of a piece at most.

    A text comes back exactly, but for the character U+2581, which stands for a space inside.
    Trained by `unigram.py`: the library's trainer sums in the order of a hash table, which differs from process to process.
    """

    def __init__(self, vocab_size: int = 8000, lowercase: bool = False, longest: int = 16):
        self.vocab_size, self.lowercase, self.longest = vocab_size, lowercase, longest

    def train(self, texts: Texts) -> Tokenizer:
        # brackets stand alone, so that no text can spell a special token or a byte: those are entries of the vocabulary too
        brackets = pre_tokenizers.Split(tokenizers.Regex(r"[\[<]"), behavior="isolated")
        split = pre_tokenizers.Sequence([brackets, pre_tokenizers.Metaspace(prepend_scheme="never")])
        normalizer = normalizers.Lowercase() if self.lowercase else None
        words: dict[str, int] = {}
        for text in texts():
            for word, _ in split.pre_tokenize_str(normalizer.normalize_str(text) if normalizer else text):
                words[word] = words.get(word, 0) + 1
        fixed = [*SPECIAL, *BYTES]
        pieces = unigram.train(words, self.vocab_size - len(fixed), self.longest)
        lowest = min((score for _, score in pieces), default=0.0)
        entries = [(token, round(lowest - 10.0, 6)) for token in fixed] + pieces  # six digits survive being written and read
        inner = tokenizers.Tokenizer(models.Unigram(entries, unk_id=fixed.index("[UNK]"), byte_fallback=True))
        if normalizer:
            inner.normalizer = normalizer
        inner.pre_tokenizer = split
        inner.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="never"), decoders.Fuse()])
        return finished(inner)


@register("tokenizer")
class CharactersTokenizer(TokenizerTrainer):
    """One token a character.

    lowercase: fold capitals.
    unseen: what a character not seen in training becomes: its bytes (256 more entries; any text comes back exactly) or [UNK].
    """

    def __init__(self, lowercase: bool = False, unseen: Literal["bytes", "unknown"] = "bytes"):
        self.lowercase, self.unseen = lowercase, unseen

    def train(self, texts: Texts) -> Tokenizer:
        normalizer = normalizers.Lowercase() if self.lowercase else None
        characters: set[str] = set()
        for text in texts():
            characters.update(normalizer.normalize_str(text) if normalizer else text)
        tokens = [*SPECIAL, *(BYTES if self.unseen == "bytes" else []), *sorted(characters)]
        vocabulary = {token: id for id, token in enumerate(tokens)}
        inner = tokenizers.Tokenizer(models.BPE(vocabulary, [], unk_token="[UNK]", byte_fallback=self.unseen == "bytes"))
        if normalizer:
            inner.normalizer = normalizer
        inner.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
        return finished(inner)


@register("tokenizer")
class BytesTokenizer(TokenizerTrainer):
    """One token a byte of UTF-8: 256 and the special ones, any text comes back exactly. ByT5: Xue et al. 2022, https://arxiv.org/abs/2105.13626"""

    needs_texts = False

    def train(self, texts: Texts) -> Tokenizer:
        vocabulary = {token: id for id, token in enumerate([*SPECIAL, *printable_bytes()])}
        inner = tokenizers.Tokenizer(models.BPE(vocabulary, []))
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        inner.decoder = decoders.ByteLevel()
        return finished(inner)


def finished(inner: tokenizers.Tokenizer) -> Tokenizer:
    """The same, with our special tokens marked as special."""
    inner.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return Tokenizer(inner)


def printable_bytes() -> list[str]:
    """The printable character that stands for each byte 0 ... 255 in byte-level vocabularies (GPT-2's `bytes_to_unicode`)."""
    kept = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    moved = {byte: chr(256 + number) for number, byte in enumerate(byte for byte in range(256) if byte not in kept)}
    return [moved.get(byte, chr(byte)) for byte in range(256)]
