"""Layers: sublayers, wired by a block."""

from dataclasses import replace

from torch import Tensor, nn

from framework.parts.attention.base import Attention
from framework.parts.blocks import Block
from framework.parts.caches import Cache
from framework.parts.masks import Mask
from framework.parts.places import Place


class Layer(nn.Module):
    """Self-attention and feed-forward network."""

    def __init__(self, block: Block, attention: Attention, feed_forward: nn.Module):
        super().__init__()
        self.block, self.attention, self.feed_forward = block, attention, feed_forward

    def forward(self, x: Tensor, place: Place, mask: Mask, bias: Tensor | None, cache: Cache | None) -> Tensor:
        return self.block(x, (lambda x: look(self.attention, x, place, mask, bias, cache), self.feed_forward))


class CrossLayer(nn.Module):
    """Self-attention, attention to a memory and feed-forward network."""

    def __init__(self, block: Block, attention: Attention, cross: Attention, feed_forward: nn.Module):
        super().__init__()
        self.block, self.attention, self.cross, self.feed_forward = block, attention, cross, feed_forward

    def remember(self, states: Tensor, place: Place) -> tuple[Tensor, ...]:
        """What is kept of a memory's states (B, S, D)."""
        return self.cross.remember(states, place)

    def forward(
        self,
        x: Tensor,
        place: Place,
        mask: Mask,
        bias: Tensor | None,
        cache: Cache | None,
        memory: tuple[Tensor, ...],
        memory_mask: Mask,
    ) -> Tensor:
        """memory: what `remember` kept of it. Its places are of another text, so nothing turns."""
        unturned = replace(place, turn=None)
        sublayers = (
            lambda x: look(self.attention, x, place, mask, bias, cache),
            lambda x: self.cross.read(x, memory, unturned, memory_mask),
            self.feed_forward,
        )
        return self.block(x, sublayers)


def look(attention: Attention, x: Tensor, place: Place, mask: Mask, bias: Tensor | None, cache: Cache | None) -> Tensor:
    """Self-attention: x (B, T, D) looks at itself and, with a cache, at what came before."""
    kept = attention.remember(x, place)
    return attention.read(x, kept if cache is None else cache.append(kept), place, mask, bias)
