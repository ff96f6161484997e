"""Trainers of tokenizers: WordPiece, BPE, unigram, characters, bytes.

Every trainer makes a `tokenizer.json` of the `tokenizers` library. The same texts give the same file in every process; see
`WordpieceTokenizer` and `unigram.py`.
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal

import tokenizers
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, trainers

from framework.data.tokenization import unigram
from framework.data.tokenization.tokenizer import BYTES, Tokenizer
from framework.registry import register
from framework.utils.words import UNSPACED

SPECIAL_TOKENS = ("[PAD]", "[BEGIN]", "[END]", "[UNK]", "[MASK]")
WIDE_MARKS = "\u3000-\u303f\uff01-\uff0f\uff1a-\uff20"  # punctuation of East Asia, which has its blank within
LONGEST_WORD = 100  # characters of a word that WordPiece encodes
WORDPIECE_SPLIT = rf"(?=[{UNSPACED}])\X|\S{{{LONGEST_WORD}}}"
BPE_SPLIT = r"'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}\p{M}][\p{L}\p{M}\u200C\u200D]*| ?\p{N}+| ?[^\s\p{L}\p{M}\p{N}][^\s\p{L}\p{N}]*|\s+(?!\S)|\s+"
Texts = Callable[[], Iterable[str]]  # may be called more than once


SIZE_RULES = {"vocab_size <= 2**24": "vocab_size must be at most 2**24"}


class TokenizerTrainer:
    """Base class of the kind `tokenizer`: trains a tokenizer on texts. It depends on its options alone.

    >>> trainer = Part("tokenizer/characters")()
    >>> tokenizer = trainer.train(lambda: ["good", "dull"])
    >>> isinstance(trainer, TokenizerTrainer), tokenizer.decode(tokenizer.encode("gold"))
    (True, 'gold')
    """

    needs_texts: ClassVar[bool] = True

    def check(self) -> None:
        """UserError: the options are invalid. Called before data is read."""

    def train(self, texts: Texts) -> Tokenizer:
        raise NotImplementedError

    def origin(self) -> Any:
        """All that the tokenizer depends on beside the texts, JSON-able."""
        return [type(self).__name__, vars(self), tokenizers.__version__]


@register("tokenizer")
class WordpieceTokenizer(TokenizerTrainer):
    """WordPiece: words, and greedily split pieces of rare words. Schuster and Nakajima 2012; BERT's: Devlin et al. 2019, section 3, https://arxiv.org/abs/1810.04805

    Words are those of BERT; in a script without blanks between words each character is one, as BERT has it for Chinese alone. Longer ones
    than 100 characters are split there, where BERT's are unknown. Text is normalized to NFC.

    vocab_size: number of entries, special tokens included.
    lowercase: lowercase the text.
    strip_accents: remove accents, and with them the vowel signs of scripts such as Devanagari and Thai.
    min_frequency: least frequency of a pair that is merged.

    The trainer of `tokenizers` assigns ids to continuing characters (##a) in an order that differs between processes, and breaks ties
    between pairs by id. Here it gets these characters in sorted order, so the result is the same in every process.
    """

    rules: ClassVar[dict[str, str]] = {
        "vocab_size > 5": "vocab_size must be more than the special tokens",
        **SIZE_RULES,
        "min_frequency >= 1": "min_frequency must be at least 1",
    }

    def __init__(self, vocab_size: int = 8000, lowercase: bool = True, strip_accents: bool = False, min_frequency: int = 2):
        self.vocab_size, self.lowercase, self.strip_accents, self.min_frequency = vocab_size, lowercase, strip_accents, min_frequency

    def train(self, texts: Texts) -> Tokenizer:
        backend = tokenizers.Tokenizer(models.BPE())  # WordPiece vocabularies are trained like BPE and differ in encoding
        bert = normalizers.BertNormalizer(handle_chinese_chars=False, lowercase=self.lowercase, strip_accents=self.strip_accents)
        backend.normalizer = normalizers.Sequence([normalizers.NFC(), bert])
        split = pre_tokenizers.Split(tokenizers.Regex(WORDPIECE_SPLIT), behavior="isolated")
        backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.BertPreTokenizer(), split])
        inside: set[str] = set()
        for text in texts():
            for word, _ in backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(text)):
                inside.update(word[1:])
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocab_size,
            min_frequency=self.min_frequency,
            special_tokens=[*SPECIAL_TOKENS, *(f"##{character}" for character in sorted(inside))],
            continuing_subword_prefix="##",
            show_progress=False,
        )
        backend.train_from_iterator(texts(), trainer)
        vocabulary = backend.get_vocab(with_added_tokens=True)
        trained = tokenizers.Tokenizer(models.WordPiece(dict(sorted(vocabulary.items(), key=lambda item: item[1])), unk_token="[UNK]"))
        trained.normalizer, trained.pre_tokenizer = backend.normalizer, backend.pre_tokenizer
        no_blank = decoders.Replace(tokenizers.Regex(f"^ (?=[{UNSPACED}{WIDE_MARKS}])"), "")
        trained.decoder = decoders.Sequence([decoders.WordPiece(prefix="##"), no_blank])
        return finish(trained)


@register("tokenizer")
class BPETokenizer(TokenizerTrainer):
    """Byte-level BPE; decoding restores any text exactly. Sennrich et al. 2016, https://arxiv.org/abs/1508.07909

    Text is split as by GPT-2, but marks stay with their letters, as in https://github.com/openai/tiktoken (o200k_base): GPT-2 tears the
    words of Hindi or Thai at each vowel sign.

    vocab_size: number of entries, the 256 bytes and special tokens included.
    lowercase: lowercase the text.
    min_frequency: least frequency of a pair that is merged.
    prefix_space: put a space before the text, so that its first word has the same token as inside a sentence.
    """

    rules: ClassVar[dict[str, str]] = {
        "vocab_size > 256": "vocab_size must be more than the 256 bytes",
        **SIZE_RULES,
        "min_frequency >= 1": "min_frequency must be at least 1",
    }

    def __init__(self, vocab_size: int = 8000, lowercase: bool = False, min_frequency: int = 2, prefix_space: bool = False):
        self.vocab_size, self.lowercase, self.min_frequency, self.prefix_space = vocab_size, lowercase, min_frequency, prefix_space

    def train(self, texts: Texts) -> Tokenizer:
        backend = tokenizers.Tokenizer(models.BPE())
        if self.lowercase:
            backend.normalizer = normalizers.Lowercase()
        prefix = [pre_tokenizers.Metaspace(" ", prepend_scheme="first", split=False)] if self.prefix_space else []
        split = pre_tokenizers.Split(tokenizers.Regex(BPE_SPLIT), behavior="isolated")
        backend.pre_tokenizer = pre_tokenizers.Sequence([*prefix, split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocab_size,
            min_frequency=self.min_frequency,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        backend.train_from_iterator(texts(), trainer)
        return finish(backend)


@register("tokenizer")
class UnigramTokenizer(TokenizerTrainer):
    """Unigram: the likeliest split by a unigram model of pieces; unseen characters become bytes. Kudo 2018, section 3, https://arxiv.org/abs/1804.10959

    vocab_size: number of entries, the 256 bytes and special tokens included.
    lowercase: lowercase the text.
    longest: maximum number of characters of a piece.

    Decoding restores any text exactly, except the character U+2581, which stands for a space.
    Trained by `unigram.py`, because the trainer of `tokenizers` sums in the order of a hash table, which differs between processes.
    """

    rules: ClassVar[dict[str, str]] = {
        **SIZE_RULES,
        "vocab_size > 256": "vocab_size must be more than the 256 bytes",
        "1 <= longest <= 1000": "longest must be at least 1 character, and at most 1,000",
    }

    def __init__(self, vocab_size: int = 8000, lowercase: bool = False, longest: int = 16):
        self.vocab_size, self.lowercase, self.longest = vocab_size, lowercase, longest

    def train(self, texts: Texts) -> Tokenizer:
        # special and byte tokens are entries of the vocabulary; splitting at brackets keeps text from matching them
        brackets = pre_tokenizers.Split(tokenizers.Regex(r"[\[<]"), behavior="isolated")
        split = pre_tokenizers.Sequence([brackets, pre_tokenizers.Metaspace(prepend_scheme="never")])
        normalizer = normalizers.Lowercase() if self.lowercase else None
        words: dict[str, int] = {}
        for text in texts():
            for word, _ in split.pre_tokenize_str(normalizer.normalize_str(text) if normalizer else text):
                words[word] = words.get(word, 0) + 1
        fixed = [*SPECIAL_TOKENS, *BYTES]
        pieces = unigram.train(words, self.vocab_size - len(fixed), self.longest)
        lowest = min((score for _, score in pieces), default=0.0)
        entries = [(token, round(lowest - 10.0, 6)) for token in fixed] + pieces  # six digits are the same after saving and loading
        backend = tokenizers.Tokenizer(models.Unigram(entries, unk_id=fixed.index("[UNK]"), byte_fallback=True))
        if normalizer:
            backend.normalizer = normalizer
        backend.pre_tokenizer = split
        backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="never"), decoders.Fuse()])
        return finish(backend)


@register("tokenizer")
class CharactersTokenizer(TokenizerTrainer):
    """One token a character.

    lowercase: lowercase the text.
    unseen: encoding of characters not in the training texts: bytes (256 more entries; decoding restores any text) or [UNK].
    """

    def __init__(self, lowercase: bool = False, unseen: Literal["bytes", "unknown"] = "bytes"):
        self.lowercase, self.unseen = lowercase, unseen

    def train(self, texts: Texts) -> Tokenizer:
        normalizer = normalizers.Lowercase() if self.lowercase else None
        characters: set[str] = set()
        for text in texts():
            characters.update(normalizer.normalize_str(text) if normalizer else text)
        tokens = [*SPECIAL_TOKENS, *(BYTES if self.unseen == "bytes" else []), *sorted(characters)]
        vocabulary = {token: id for id, token in enumerate(tokens)}
        backend = tokenizers.Tokenizer(models.BPE(vocabulary, [], unk_token="[UNK]", byte_fallback=self.unseen == "bytes"))
        if normalizer:
            backend.normalizer = normalizer
        backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
        return finish(backend)


@register("tokenizer")
class BytesTokenizer(TokenizerTrainer):
    """One token a byte of UTF-8; decoding restores any text exactly. ByT5: Xue et al. 2022, https://arxiv.org/abs/2105.13626"""

    needs_texts = False

    def train(self, texts: Texts) -> Tokenizer:
        vocabulary = {token: id for id, token in enumerate([*SPECIAL_TOKENS, *printable_bytes()])}
        backend = tokenizers.Tokenizer(models.BPE(vocabulary, []))
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        backend.decoder = decoders.ByteLevel()
        return finish(backend)


def finish(backend: tokenizers.Tokenizer) -> Tokenizer:
    """The tokenizer with SPECIAL_TOKENS marked as special."""
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return Tokenizer(backend)


def printable_bytes() -> list[str]:
    """The printable character of each byte 0 ... 255 in byte-level vocabularies (`bytes_to_unicode` of GPT-2)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    moved = {byte: chr(256 + number) for number, byte in enumerate(byte for byte in range(256) if byte not in printable)}
    return [moved.get(byte, chr(byte)) for byte in range(256)]
