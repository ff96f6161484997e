"""Tokenizer of words, as blanks separate them."""

from typing import ClassVar

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, trainers

from framework.data.tokenization.tokenizer import Tokenizer
from framework.data.tokenization.trainers import SIZE_RULES, SPECIAL_TOKENS, Texts, TokenizerTrainer, finish
from framework.registry import register

# A word of the text that is spelled as a special token falls in two, so that it is none
_SPELLED = rf"^\[(?=(?:{'|'.join(token.strip('[]') for token in SPECIAL_TOKENS)})\]$)"


@register("tokenizer")
class WordsTokenizer(TokenizerTrainer):
    """One token a word, as blanks separate them: for artificial languages, whose words are few. Decoding puts one blank between words.

    vocab_size: number of entries at most, special tokens included: the commonest words; all others are [UNK].
    lowercase: lowercase the text.
    """

    rules: ClassVar[dict[str, str]] = {"vocab_size > 5": "vocab_size must be more than the special tokens", **SIZE_RULES}

    def __init__(self, vocab_size: int = 32_000, lowercase: bool = False):
        self.vocab_size, self.lowercase = vocab_size, lowercase

    def train(self, texts: Texts) -> Tokenizer:
        backend = tokenizers.Tokenizer(models.WordLevel(unk_token="[UNK]"))
        if self.lowercase:
            backend.normalizer = normalizers.Lowercase()
        spelled = pre_tokenizers.Split(tokenizers.Regex(_SPELLED), behavior="isolated")
        backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), spelled])
        trainer = trainers.WordLevelTrainer(vocab_size=self.vocab_size, special_tokens=list(SPECIAL_TOKENS), show_progress=False)
        backend.train_from_iterator(texts(), trainer)
        return finish(backend)
