"""Tokenizers of published models and of runs, as an option of the kind `tokenizer`."""

from functools import cached_property
from typing import Any, ClassVar

from framework.data.tokenization.layouts import published_tokenizer
from framework.data.tokenization.tokenizer import Tokenizer
from framework.data.tokenization.trainers import Texts, TokenizerTrainer
from framework.errors import UserError
from framework.registry import register
from framework.utils.hub import folder_of


@register("tokenizer")
class PretrainedTokenizer(TokenizerTrainer):
    """The tokenizer of a published model or of a run.

    file: folder of a model or run, a tokenizer file in it, or a name on the Hugging Face Hub.
    additional_special_tokens: special tokens added after the last id; the embedding tables of a model grow by them.
    start: decoder_start_token_id, if a decoder does not start from the begin token (BART: the id of the end token).
    vocab_size: lower bound of the vocabulary size, for embedding tables with more rows than tokens (T5: 32,128 rows, 32,100 tokens).
    """

    needs_texts = False
    option_traits: ClassVar = {"pattern": ("additional_special_tokens",)}

    rules: ClassVar[dict[str, str]] = {
        "vocab_size is None or 0 < vocab_size <= 2**24": "vocab_size must be positive, and at most 2**24",
        "start is None or start >= 0": "start must not be negative, the id of a token",
    }

    def __init__(
        self,
        file: str | None = None,
        additional_special_tokens: list[str] = [],  # noqa: B006 - never modified
        vocab_size: int | None = None,
        start: int | None = None,
    ):
        self.file, self.additional_special_tokens, self.vocab_size, self.start = file, tuple(additional_special_tokens), vocab_size, start

    def check(self) -> None:
        self._tokenizer  # noqa: B018 - its files are read

    def train(self, texts: Texts) -> Tokenizer:
        return self._tokenizer

    def origin(self) -> Any:
        """The tokenizer itself, not the path of its files."""
        return [type(self).__name__, self._tokenizer.to_json(), self._tokenizer.special_ids, self._tokenizer.vocab_size]

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        if not self.file:
            raise UserError("tokenizer=pretrained needs tokenizer.file=FOLDER of a published model or of a run")
        published = published_tokenizer(folder_of(self.file))
        start = published.start if self.start is None else self.start
        size = max(self.vocab_size or 0, published.min_vocab_size)
        return Tokenizer(published.backend, published.special_tokens, size, start).with_special_tokens(self.additional_special_tokens)
