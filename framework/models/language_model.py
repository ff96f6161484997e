"""Base class of models with a language modeling head."""

from typing import Any

from torch import Tensor

from framework.models.base import Model
from framework.parts.embeddings import LMHead


class LanguageModel(Model):
    """A model that gives logits of the next token.

    tied: whether the token embeddings are the weights of the LM head.
    output_bias: whether the LM head has a bias.
    output_scale: multiplier of the hidden states before the LM head (T5: 1 / sqrt(dim)).
    """

    lm_head: LMHead

    def __init__(self, tied: bool = True, output_bias: bool = False, output_scale: float = 1.0, **options: Any):
        super().__init__(**options)
        self.context |= {"tied": tied, "output_bias": output_bias, "output_scale": output_scale}

    def logits(self, hidden: Tensor) -> Tensor:
        """Hidden states (B, T, D) -> logits of the next token (B, T, V)."""
        return self.lm_head(hidden, self.tokens)
