"""A tokenizer that exists already."""

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
    """A tokenizer that exists: of a run, or of a published model, in whichever layout its folder has it.

    file: the folder of a model or of a run, a file of a tokenizer there, or a name on the Hugging Face Hub.
    additional_special_tokens: tokens that are added as special ones behind the last id; a model's tables grow by them.
    start: id of what stands before the first token of a written text, where that is not the begin token (BART: the end token's).
    vocab_size: ids at least, where a model's tables have more rows than there are tokens (T5's have 32,128 for 32,100).
    """

    needs_texts = False
    option_traits: ClassVar = {"pattern": ("additional_special_tokens",)}

    def __init__(
        self,
        file: str | None = None,
        additional_special_tokens: list[str] = [],  # noqa: B006 - never written to
        vocab_size: int | None = None,
        start: int | None = None,
    ):
        self.file, self.additional_special_tokens, self.vocab_size, self.start = file, tuple(additional_special_tokens), vocab_size, start

    def train(self, texts: Texts) -> Tokenizer:
        return self._made

    def origin(self) -> Any:
        """What it is, not where it lies."""
        return [type(self).__name__, self._made.to_json(), self._made.special_ids, self._made.vocab_size]

    @cached_property
    def _made(self) -> Tokenizer:
        if not self.file:
            raise UserError("tokenizer=pretrained needs a tokenizer: tokenizer.file=FOLDER, of a run or of a published model")
        found = published_tokenizer(folder_of(self.file))
        start = found.start if self.start is None else self.start
        return Tokenizer(found.backend, found.special_tokens, max(self.vocab_size or 0, found.min_vocab_size), start).with_special_tokens(
            self.additional_special_tokens
        )
