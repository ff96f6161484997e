"""Encoder-decoder models (the Transformer, T5, BART)."""

from typing import Any, ClassVar

from torch import Tensor

from framework.models.base import LanguageModel
from framework.parts.caches import DecodingState, EncoderOutput
from framework.parts.embeddings import Embeddings, LMHead
from framework.parts.initialize import initialize
from framework.parts.layout import make_positions
from framework.registry import Part, choice, register


@register("model")
class EncoderDecoderModel(LanguageModel):
    """Encoder-decoder model with one vocabulary (T5, BART). Vaswani et al. 2017, section 3, https://arxiv.org/abs/1706.03762

    num_decoder_layers: layers of the decoder; null = num_layers.
    encoder: the encoder's stack of layers.
    decoder: the decoder's stack of layers.
    """

    provides: ClassVar = ("encoder", "decoder", "cross")
    rules: ClassVar[dict[str, str]] = {
        **LanguageModel.rules,
        "num_decoder_layers is None or 0 < num_decoder_layers <= 4096": "num_decoder_layers must be positive, and at most 4,096",
    }

    def __init__(
        self,
        num_decoder_layers: int | None = None,
        encoder: Part = choice("encoder", "standard"),
        decoder: Part = choice("decoder", "cross"),
        **options: Any,
    ):
        super().__init__(**options)
        self.source = Part(Embeddings)(**self.context)
        self.encoder = encoder(**self.context)
        self.target = Part(Embeddings)(**self.context)
        self.decoder = decoder(**{**self.context, "num_layers": num_decoder_layers or self.context["num_layers"]})
        self.lm_head = Part(LMHead)(**self.context)
        initialize(self, self.initial_std)

    def encode(self, source: Tensor, padding_mask: Tensor | None = None, positions: Tensor | None = None) -> EncoderOutput:
        """Encode source ids (B, S); padding_mask (B, S), True = token."""
        positions = make_positions(source, padding_mask) if positions is None else positions
        x = self.source(self.tokens(source), self.encoder.position, positions)
        return EncoderOutput(self.encoder(x, positions, padding_mask), padding_mask)

    def forward(
        self, source: Tensor, target: Tensor, source_padding_mask: Tensor | None = None, target_padding_mask: Tensor | None = None
    ) -> Tensor:
        """Source ids (B, S), target ids (B, T), padded on the right -> hidden states of the target (B, T, D).

        target_padding_mask: (B, T); only feed-forward networks that count tokens need it.
        """
        return self.decode_whole(target, self.encode(source, source_padding_mask), target_padding_mask)

    def decode_whole(self, target: Tensor, encoder_output: EncoderOutput, target_padding_mask: Tensor | None = None) -> Tensor:
        """Hidden states (B, T, D) of whole targets (B, T); see `forward`."""
        positions = make_positions(target)
        x = self.target(self.tokens(target), self.decoder.position, positions)
        return self.decoder(x, positions, encoder_output, target_padding_mask, padding_side="right")

    def state(self, encoder_output: EncoderOutput | None = None) -> DecodingState:
        """The decoding state before the first token, with keys and values of the encoder output."""
        assert encoder_output is not None, "an encoder-decoder model decodes from an encoder output: state(encode(source))"
        return self.decoder.state(encoder_output)

    def decode(self, ids: Tensor, state: DecodingState, padding_mask: Tensor | None = None) -> Tensor:
        """Hidden states (B, T, D) of the next tokens ids (B, T), which are added to the state."""
        positions = state.next_positions(ids, padding_mask)
        x = self.target(self.tokens(ids), self.decoder.position, positions)
        return self.decoder(x, positions, padding_mask=padding_mask, state=state)
