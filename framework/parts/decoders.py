"""Decoders: stacks with causal self-attention, with and without cross-attention."""

from collections.abc import Sequence
from typing import Any, ClassVar, cast

from torch import Tensor

from framework.parts.caches import Cache, DecodingState, EncoderOutput
from framework.parts.layers import CrossLayer
from framework.parts.layout import SequenceLayout, make_positions
from framework.parts.masks import Mask
from framework.parts.stacks import PaddingSide, Stack
from framework.registry import Part, choice, register


@register("decoder", "standard")
class Decoder(Stack):
    """Transformer decoder without cross-attention. Liu et al. 2018, section 4.2.3, https://arxiv.org/abs/1801.10198"""

    causal = True
    rules: ClassVar[dict[str, str]] = {
        **Stack.rules,
        "'cross' not in provided": "this decoder has no cross-attention: an encoder-decoder model needs decoder=cross",
    }

    def state(self) -> DecodingState:
        """The state before the first token."""
        return DecodingState(self.caches())

    def forward(
        self,
        x: Tensor,
        positions: Tensor,
        padding_mask: Tensor | None = None,
        documents: Tensor | None = None,
        state: DecodingState | None = None,
        padding_side: PaddingSide = "left",
        trunk: list[Tensor] | None = None,
    ) -> Tensor:
        """Embeddings x (B, T, D) at positions (B or 1, T) -> hidden states (B, T, D).

        padding_mask: (B, T), True = token; on the right attention needs none, feed-forward networks that count tokens do. documents: (B, T)
        document numbers of packed rows; a token attends to its own document. state: the tokens continue its sequence, and are added to it.
        trunk: a list that receives the hidden states before the last layer.
        """
        if state is not None:
            state.extend(positions.expand(x.shape[0], -1), padding_mask)
        caches: Sequence[Cache | None] = [None] * len(self.depths) if state is None else state.caches
        kept = {} if trunk is None else {"trunk": trunk}  # a subclass that overrides `run_layers` need not know of it
        return self.run_layers(x, *self.prepare(x, positions, padding_mask, documents, state, padding_side), caches, **kept)


@register("decoder", "shared")
class SharedDecoder(Decoder):
    """Transformer decoder whose layers share their weights. Dehghani et al. 2019, section 2.1, https://arxiv.org/abs/1807.03819

    That paper's embeddings of the depth, and its halting, are left out.
    """

    shares_weights = True
    provides: ClassVar[dict[str, str]] = {**Decoder.provides, "shared_layers": "True"}


@register("decoder", "cross")
class CrossDecoder(Stack):
    """Transformer decoder with cross-attention to an encoder output. Vaswani et al. 2017, section 3.1, https://arxiv.org/abs/1706.03762

    cross: the cross-attention of every layer. It has no position encoding and no window.
    """

    causal = True
    layer_class = CrossLayer
    rules: ClassVar[dict[str, str]] = {
        **Stack.rules,
        "'cross' in provided": "cross-attention needs an encoder: take model=encoder_decoder, or decoder=standard",
    }

    def __init__(self, cross: Part = choice("attention", "multi_head", follows="attention"), **options: Any):
        super().__init__(**options, cross=cross)

    def encoder_keys_values(self, encoder_output: EncoderOutput) -> list[tuple[Tensor, ...]]:
        """Keys and values of the encoder output for the cross-attention of every layer."""
        hidden_states = encoder_output.hidden_states
        layout = SequenceLayout(make_positions(hidden_states[..., 0]), encoder_output.padding_mask, shared={})
        return [cast(CrossLayer, layer).encoder_keys_values(hidden_states, layout) for layer in self.by_depth()]

    def state(self, encoder_output: EncoderOutput) -> DecodingState:
        """The state before the first token."""
        return DecodingState(
            self.caches(),
            encoder_keys_values=self.encoder_keys_values(encoder_output),
            encoder_padding_mask=encoder_output.padding_mask,
            encoder_length=encoder_output.hidden_states.shape[1],
        )

    def forward(
        self,
        x: Tensor,
        positions: Tensor,
        encoder_output: EncoderOutput | None = None,
        padding_mask: Tensor | None = None,
        state: DecodingState | None = None,
        padding_side: PaddingSide = "left",
    ) -> Tensor:
        """Embeddings x (B, T, D) at positions (B or 1, T) -> hidden states (B, T, D). Takes an encoder output or a state made from one.

        padding_mask: (B, T), True = token; on the right attention needs none, feed-forward networks that count tokens do. state: the tokens
        continue its sequence, and are added to it.
        """
        caches: Sequence[Cache | None] = [None] * len(self.depths)
        if state is not None:
            state.extend(positions.expand(x.shape[0], -1), padding_mask)
            caches, source = state.caches, state
        else:
            assert encoder_output is not None, "cross-attention needs an encoder output or a decoding state"
            source = self.state(encoder_output)
        layouts, masks = self.prepare(x, positions, padding_mask, None, state, padding_side)
        encoder_mask = Mask(x.shape[1], source.encoder_length, padding_mask=source.encoder_padding_mask, device=x.device)
        return self.run_layers(x, layouts, masks, caches, source.encoder_keys_values, [encoder_mask] * len(self.depths))


@register("decoder", "shared_cross")
class SharedCrossDecoder(CrossDecoder):
    """Decoder with cross-attention whose layers share their weights. Dehghani et al. 2019, section 2.1, https://arxiv.org/abs/1807.03819"""

    shares_weights = True
    provides: ClassVar[dict[str, str]] = {**CrossDecoder.provides, "shared_layers": "True"}
