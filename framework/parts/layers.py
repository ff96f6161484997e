"""Transformer layers: sublayers wired by a block."""

import inspect
from collections.abc import Callable
from dataclasses import replace

from torch import Tensor, nn

from framework.parts.attention.base import Attention
from framework.parts.blocks import Block
from framework.parts.caches import Cache
from framework.parts.layout import SequenceLayout
from framework.parts.masks import Mask


class Layer(nn.Module):
    """Self-attention and feed-forward network."""

    def __init__(self, block: Block, attention: Attention, feed_forward: nn.Module):
        super().__init__()
        self.block, self.attention, self.feed_forward = block, attention, feed_forward

    def forward(self, x: Tensor, layout: SequenceLayout, mask: Mask, cache: Cache | None = None) -> Tensor:
        feed_forward = with_padding_mask(self.feed_forward, layout)
        return self.block(x, (lambda x: self_attention(self.attention, x, layout, mask, cache), feed_forward))


class CrossLayer(nn.Module):
    """Self-attention, cross-attention and feed-forward network."""

    def __init__(self, block: Block, attention: Attention, cross: Attention, feed_forward: nn.Module):
        super().__init__()
        self.block, self.attention, self.cross, self.feed_forward = block, attention, cross, feed_forward

    def encoder_keys_values(self, hidden_states: Tensor, layout: SequenceLayout) -> tuple[Tensor, ...]:
        """Keys and values of cross-attention over the encoder's hidden states (B, S, D)."""
        return self.cross.keys_values(hidden_states, layout)

    def forward(
        self,
        x: Tensor,
        layout: SequenceLayout,
        mask: Mask,
        cache: Cache | None,
        encoder_keys_values: tuple[Tensor, ...],
        encoder_mask: Mask,
    ) -> Tensor:
        unrotated = replace(layout, rotary=None)  # positions of the source and of the target do not compare
        sublayers = (
            lambda x: self_attention(self.attention, x, layout, mask, cache),
            lambda x: self.cross(x, encoder_keys_values, unrotated, encoder_mask),
            with_padding_mask(self.feed_forward, layout),
        )
        return self.block(x, sublayers)


def with_padding_mask(feed_forward: nn.Module, layout: SequenceLayout) -> Callable[[Tensor], Tensor]:
    """The call of a feed-forward network on x (B, T, D); one whose `forward` has a parameter `padding_mask` gets it, (B, T) or None."""
    if "padding_mask" not in inspect.signature(feed_forward.forward).parameters:
        return feed_forward
    return lambda x: feed_forward(x, padding_mask=layout.padding_mask)


def self_attention(attention: Attention, x: Tensor, layout: SequenceLayout, mask: Mask, cache: Cache | None) -> Tensor:
    """Self-attention over x (B, T, D) and the cached prefix, if there is one."""
    keys_values = attention.keys_values(x, layout)
    return attention(x, keys_values if cache is None else cache.update(keys_values), layout, mask)
