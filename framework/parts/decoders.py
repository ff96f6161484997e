"""Decoders: stacks with causal self-attention, with or without cross-attention."""

from collections.abc import Sequence
from typing import ClassVar, cast

from torch import Tensor

from framework.parts.caches import Cache, DecodingState, EncoderOutput
from framework.parts.layers import CrossLayer
from framework.parts.layout import SequenceLayout, make_positions
from framework.parts.masks import Mask
from framework.parts.stacks import PlainStack, Stack, Window
from framework.registry import Part, choice, register


@register("decoder", "standard")
class Decoder(PlainStack):
    """Every token sees itself and what came before. Liu et al. 2018, section 4.2.3, https://arxiv.org/abs/1801.10198"""

    causal = True
    side = 1
    rules: ClassVar[dict[str, str]] = {
        **Stack.rules,
        "'cross' not in provided": "this decoder has no attention to what the encoder read",
    }

    def state(self) -> DecodingState:
        """The state of a text of which nothing is written."""
        return DecodingState(self.caches())

    def forward(
        self,
        x: Tensor,
        positions: Tensor,
        padding_mask: Tensor | None = None,
        documents: Tensor | None = None,
        state: DecodingState | None = None,
    ) -> Tensor:
        """x (B, T, D) at positions (B or 1, T). padding_mask (B, T) is for padding on the left; documents (B, T) see only themselves.
        With a state the tokens go on where it stands."""
        if state is not None:
            state.extend(positions.expand(x.shape[0], -1), padding_mask)
        layouts, masks, bias = self.shared(x, positions, padding_mask, documents, state)
        caches: Sequence[Cache | None] = [None] * len(self.layers) if state is None else state.caches
        for layer, layout, mask, cache in zip(self.layers, layouts, masks, caches, strict=True):
            x = self.through(layer, x, layout, mask, bias, cache)
        return self.final_norm(x)


@register("decoder", "cross")
class CrossDecoder(Stack):
    """Every token sees what came before, and the whole encoder output. Vaswani et al. 2017, section 3.1, https://arxiv.org/abs/1706.03762

    cross: the attention to the encoder output. Positions and windows of the stack do not touch it.
    """

    causal = True
    side = 1
    layer_class = CrossLayer
    rules: ClassVar[dict[str, str]] = {
        **Stack.rules,
        "'cross' in provided": "the model has no encoder whose states this decoder could look at",
    }

    def __init__(
        self,
        dim: int,
        num_heads: int,
        dropout: float,
        bias: bool,
        epsilon: float,
        max_length: int,
        depths: tuple[int, int],
        embedding_dim: int,
        attention: Part = choice("attention", "multi_head", follows="attention"),
        cross: Part = choice("attention", "multi_head", follows="attention"),
        position: Part = choice("position", "learned", follows="position"),
        feed_forward: Part = choice("feed_forward", "mlp", follows="feed_forward"),
        norm: Part = choice("norm", "layer", follows="norm"),
        block: Part = choice("block", "pre_norm", follows="block"),
        final_norm: Part = choice("norm", "layer", follows="norm"),
        window: Window = None,
        full_attention_every: int | None = None,
        activation_checkpointing: bool = False,
    ):
        super().__init__(
            {"attention": attention, "cross": cross, "feed_forward": feed_forward},
            position,
            norm,
            block,
            final_norm,
            window,
            full_attention_every,
            activation_checkpointing,
            dim=dim,
            num_heads=num_heads,
            dropout=dropout,
            bias=bias,
            epsilon=epsilon,
            max_length=max_length,
            depths=depths,
            embedding_dim=embedding_dim,
        )

    def encoder_keys_values(self, encoder_output: EncoderOutput) -> list[tuple[Tensor, ...]]:
        """What each layer attends to in the encoder output: computed once, however many tokens are written."""
        layout = SequenceLayout(make_positions(encoder_output.hidden_states[..., 0]), encoder_output.padding_mask)
        return [cast(CrossLayer, layer).encoder_keys_values(encoder_output.hidden_states, layout) for layer in self.layers]

    def state(self, encoder_output: EncoderOutput) -> DecodingState:
        """The state of a text of which nothing is written."""
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
    ) -> Tensor:
        """x (B, T, D) at positions (B or 1, T); padding_mask (B, T) is for padding on the left. Attends to the encoder
        output, or to that of the decoding state, which the tokens continue."""
        if state is not None:
            state.extend(positions.expand(x.shape[0], -1), padding_mask)
            kept, encoder_padding_mask, length = state.encoder_keys_values, state.encoder_padding_mask, state.encoder_length
        else:
            assert encoder_output is not None, "cross-attention needs an encoder output or a decoding state"
            kept, encoder_padding_mask, length = (
                self.encoder_keys_values(encoder_output),
                encoder_output.padding_mask,
                encoder_output.hidden_states.shape[1],
            )
        layouts, masks, bias = self.shared(x, positions, padding_mask, None, state)
        caches: Sequence[Cache | None] = [None] * len(self.layers) if state is None else state.caches
        encoder_mask = Mask(x.shape[1], length, padding_mask=encoder_padding_mask, device=x.device).prepared()
        for layer, layout, mask, cache, own in zip(self.layers, layouts, masks, caches, kept, strict=True):
            x = self.through(layer, x, layout, mask, bias, cache, own, encoder_mask)
        return self.final_norm(x)
