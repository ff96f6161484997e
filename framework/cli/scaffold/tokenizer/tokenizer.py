"""A tokenizer of whole words."""

from collections import Counter

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from framework import SPECIAL_TOKENS, Tokenizer, TokenizerTrainer, register


@register("tokenizer")
class SpecimenTokenizer(TokenizerTrainer):
    """Whole words and punctuation marks in lower case; rare words are unknown.

    vocab_size: number of entries, special tokens included.
    min_frequency: least frequency of a word of the vocabulary.
    """

    def __init__(self, vocab_size: int = 8000, min_frequency: int = 1):
        self.vocab_size, self.min_frequency = vocab_size, min_frequency

    def train(self, texts):
        """The same texts give the same vocabulary: words by frequency, then by name."""
        normalizer, split = normalizers.Lowercase(), pre_tokenizers.Whitespace()
        counts = Counter(word for text in texts() for word, _ in split.pre_tokenize_str(normalizer.normalize_str(text)))
        words = sorted((word for word in counts if counts[word] >= self.min_frequency), key=lambda word: (-counts[word], word))
        vocabulary = {token: id for id, token in enumerate([*SPECIAL_TOKENS, *words][: self.vocab_size])}
        backend = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
        backend.normalizer, backend.pre_tokenizer, backend.decoder = normalizer, split, decoders.WordPiece()
        backend.add_special_tokens(list(SPECIAL_TOKENS))
        return Tokenizer(backend)
