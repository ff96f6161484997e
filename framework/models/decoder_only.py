"""Decoder-only models (GPT)."""

from typing import Any, ClassVar

from torch import Tensor

from framework.models.base import LanguageModel
from framework.models.further_tokens import FurtherTokens
from framework.parts.caches import DecodingState, EncoderOutput
from framework.parts.embeddings import Embeddings, LMHead
from framework.parts.initialize import initialize
from framework.parts.layout import make_positions
from framework.parts.stacks import PaddingSide
from framework.registry import Part, choice, register


@register("model")
class DecoderOnlyModel(LanguageModel):
    """Decoder-only language model (GPT-2). Liu et al. 2018, section 4.2.3, https://arxiv.org/abs/1801.10198

    further_tokens: tokens after the next one that heads of their own predict in training, from every token of a text, also of a prompt;
        exports have no such heads. 0 = none. Gloeckle et al. 2024, section 2, https://arxiv.org/abs/2404.19737
    further_weight: coefficient of the loss of each of them.
    decoder: the stack of layers.
    """

    provides: ClassVar = {"decoder": "True", "untied": "not tied"}
    rules: ClassVar[dict[str, str]] = {
        **LanguageModel.rules,
        "0 <= further_tokens <= 64": "further_tokens must not be negative, and at most 64",
        "0 < further_weight < 1e6": "further_weight must be positive, and below 1,000,000",
    }
    option_traits: ClassVar = {"training_only": ("further_tokens", "further_weight")}

    def __init__(
        self,
        further_tokens: int = 0,
        further_weight: float = 1.0,
        decoder: Part = choice("decoder", "standard"),
        **options: Any,
    ):
        super().__init__(**options)
        self.embeddings = Part(Embeddings)(**self.context)
        self.decoder = decoder(**self.context)
        self.lm_head = Part(LMHead)(**self.context)
        self.further_tokens = FurtherTokens(further_tokens, further_weight, decoder, self.context) if further_tokens else None
        initialize(self, self.initial_std)

    def forward(
        self,
        ids: Tensor,
        padding_mask: Tensor | None = None,
        positions: Tensor | None = None,
        documents: Tensor | None = None,
        state: DecodingState | None = None,
        padding_side: PaddingSide = "left",
    ) -> Tensor:
        """Token ids (B, T) -> hidden states (B, T, D).

        padding_mask: (B, T), True = token; with padding_side="right" attention and positions need none, feed-forward networks that count
        tokens do. positions: (B or 1, T); None = counted. documents: (B, T) document numbers of packed rows. state: the tokens continue
        its sequence, and are added to it.
        """
        if positions is None:
            counted = padding_mask if padding_side == "left" else None
            positions = make_positions(ids, counted, documents) if state is None else state.next_positions(ids, padding_mask)
        x = self.embeddings(self.tokens(ids), self.decoder.position, positions)
        if self.further_tokens is None or not self.training or state is not None:
            return self.decoder(x, positions, padding_mask, documents, state, padding_side)
        trunk: list[Tensor] = []
        hidden = self.decoder(x, positions, padding_mask, documents, state, padding_side, trunk)
        self.further_tokens(trunk[0], ids, self.logits, positions, padding_mask, documents, padding_side)
        return hidden

    def drop_training_parts(self) -> dict[str, Any]:
        self.further_tokens = None
        return {"further_tokens": 0}

    def state(self, encoder_output: EncoderOutput | None = None) -> DecodingState:
        """The decoding state before the first token."""
        assert encoder_output is None, "a decoder-only model takes no encoder output"
        return self.decoder.state()

    def decode(self, ids: Tensor, state: DecodingState, padding_mask: Tensor | None = None) -> Tensor:
        """Hidden states (B, T, D) of the next tokens ids (B, T), which are added to the state."""
        return self(ids, padding_mask, state=state)
