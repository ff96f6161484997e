"""Layers, which a block wires: self-attention, cross-attention if there is any, and a feed-forward network.

Shapes: B batch, T query length, S key length, D model dimension.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from torch import Tensor, nn

from framework.parts.attention.base import Attention
from framework.parts.blocks import Block, Sublayer
from framework.parts.caches import Cache
from framework.parts.dropout import dropout
from framework.parts.layout import SequenceLayout
from framework.parts.masks import Mask


class Layer(nn.Module):
    """Self-attention and feed-forward network."""

    def __init__(self, block: Block, attention: Attention, feed_forward: nn.Module, depth_dropout: float = 0.0):
        super().__init__()
        self.block, self.attention, self.feed_forward, self.depth_dropout = block, attention, feed_forward, depth_dropout
        self.feed_forward_is_masked = takes_padding_mask(feed_forward)

    def forward(self, x: Tensor, layout: SequenceLayout, mask: Mask, cache: Cache | None = None) -> Tensor:
        feed_forward = masked(self.feed_forward, layout) if self.feed_forward_is_masked else self.feed_forward
        sublayers = (lambda x: self_attention(self.attention, x, layout, mask, cache), feed_forward)
        return self.block(x, with_depth_dropout(sublayers, self.depth_dropout) if self.training and self.depth_dropout else sublayers)


class CrossLayer(nn.Module):
    """Self-attention, cross-attention and feed-forward network."""

    def __init__(self, block: Block, attention: Attention, cross: Attention, feed_forward: nn.Module, depth_dropout: float = 0.0):
        super().__init__()
        self.block, self.attention, self.cross, self.feed_forward = block, attention, cross, feed_forward
        self.depth_dropout = depth_dropout
        self.feed_forward_is_masked = takes_padding_mask(feed_forward)

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
            masked(self.feed_forward, layout) if self.feed_forward_is_masked else self.feed_forward,
        )
        return self.block(x, with_depth_dropout(sublayers, self.depth_dropout) if self.training and self.depth_dropout else sublayers)


def takes_padding_mask(feed_forward: nn.Module) -> bool:
    """Whether a feed-forward network asks for the padding mask: its `forward` has a parameter `padding_mask`, (B, T) or None."""
    return "padding_mask" in inspect.signature(feed_forward.forward).parameters


def masked(feed_forward: nn.Module, layout: SequenceLayout) -> Callable[[Tensor], Tensor]:
    """The call of a feed-forward network on x (B, T, D), with the padding mask."""
    return lambda x: feed_forward(x, padding_mask=layout.padding_mask)


def self_attention(attention: Attention, x: Tensor, layout: SequenceLayout, mask: Mask, cache: Cache | None) -> Tensor:
    """Self-attention over x (B, T, D) and the cached prefix, if there is one."""
    keys_values = attention.keys_values(x, layout)
    return attention(x, keys_values if cache is None else cache.update(keys_values), layout, mask)


def with_depth_dropout(sublayers: Sequence[Sublayer], rate: float) -> list[Sublayer]:
    """Sublayers whose output (B, T, D) is 0 for a row with probability `rate`, and divided by 1 - rate otherwise.
    Huang et al. 2016, section 3, https://arxiv.org/abs/1603.09382"""

    def dropped(sublayer: Sublayer, x: Tensor) -> Tensor:
        return sublayer(x) * dropout(x.new_ones(len(x), 1, 1), rate)

    return [partial(dropped, sublayer) for sublayer in sublayers]
