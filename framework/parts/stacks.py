"""Layers one after the other: what encoders and decoders share.

Shapes: B batch, T tokens that enter, S tokens they may see, D width, H heads.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from framework.errors import UserError
from framework.parts.blocks import Block
from framework.parts.caches import Cache, DecodingState
from framework.parts.layers import Layer
from framework.parts.layout import SequenceLayout
from framework.parts.masks import Mask
from framework.registry import Part, choice

Window = int | list[int | None] | None


class Stack(nn.Module):
    """Layers, and before the first of them, once, what they share: rotation, bias and masks.

    An owner offers: dim, num_heads, dropout, bias, epsilon, max_length, depths (encoder, decoder), embedding_dim (the width
    that positions are added at), and its own attention, position, feed_forward, norm and block.

    attention: the self-attention of every layer.
    position: how tokens are told apart by where they stand.
    feed_forward: the feed-forward network of every layer.
    norm: the norms inside the blocks.
    block: how a layer wires its sublayers.
    final_norm: the norm after the last layer, where the block leaves its output without one.
    window: a token sees what is nearer than this many tokens; a list says it layer by layer (null = everything).
    full_attention_every: with one window, the first layer and then every so many-th see everything; null = none does (ModernBERT: 3).
    activation_checkpointing: layers are computed again in the backward pass instead of kept: less memory, about a third more time.
    """

    causal: ClassVar[bool] = False
    side: ClassVar[int]  # of depths: 0 encoder, 1 decoder
    layer_class: ClassVar[type[nn.Module]] = Layer
    one_for_all: ClassVar[bool] = False  # whether one layer's weights serve at every depth
    option_traits: ClassVar = {"training_only": ("activation_checkpointing",)}
    sealed: ClassVar[bool] = True
    apart: ClassVar = ("cross",)
    provides: ClassVar[dict[str, str]] = {"window": "window is not None"}
    rules: ClassVar[dict[str, str]] = {
        "full_attention_every is None or full_attention_every > 0 and window is not None": "full_attention_every needs a window",
    }

    def __init__(
        self,
        sublayers: dict[str, Part],
        position: Part,
        norm: Part,
        block: Part,
        final_norm: Part,
        window: Window,
        full_attention_every: int | None,
        activation_checkpointing: bool,
        *,
        dim: int,
        num_heads: int,
        dropout: float,
        bias: bool,
        epsilon: float,
        max_length: int,
        depths: tuple[int, int],
        embedding_dim: int,
    ):
        super().__init__()
        num_layers = depths[self.side]
        offers = {
            "dim": dim,
            "num_heads": num_heads,
            "dropout": dropout,
            "bias": bias,
            "epsilon": epsilon,
            "num_layers": num_layers,
            "depths": depths,
        }
        self.position = position(dim=embedding_dim, num_heads=num_heads, max_length=max_length, causal=self.causal)
        self.layers = nn.ModuleList(
            self.layer_class(
                block=block(**offers, layer=layer, sublayers=len(sublayers), norm=norm),
                **{name: part(**offers, layer=layer) for name, part in sublayers.items()},
            )
            for layer in range(1 if self.one_for_all else num_layers)
        )
        self.additions = num_layers * len(sublayers)  # to the residual stream
        self.open_stream = cast(type[Block], block.cls).final_norm  # no norm follows the additions
        self.final_norm = final_norm(dim=dim, epsilon=epsilon, bias=bias) if self.open_stream else nn.Identity()
        self.windows = _each(window, num_layers, full_attention_every)
        self.activation_checkpointing = activation_checkpointing

    def shared(
        self, x: Tensor, positions: Tensor, padding_mask: Tensor | None, documents: Tensor | None, state: DecodingState | None = None
    ) -> tuple[list[SequenceLayout], list[Mask], Tensor | None]:
        """The layout and mask of every layer, and the bias. A state has these tokens already."""
        assert state is None or documents is None, "documents are packed for training; a state writes one text a row"
        keys, keys_real = (positions, padding_mask) if state is None else (state.positions, state.padding_mask)
        assert keys is not None
        bias = self.position.bias(positions, keys)
        bias = None if bias is None else bias.to(x.dtype)  # (B or 1, H, T, S)
        pair = None if documents is None else (documents, documents)
        masks = {
            window: Mask(x.shape[1], keys.shape[1], self.causal, keys_real, pair, window, x.device).prepared(bias)
            for window in set(self.windows)
        }
        dim = cast(Layer, self.layers[0]).attention.rotary_dim
        layouts = {
            window: SequenceLayout(positions, padding_mask, self.position.rotary(positions, dim, window)) for window in set(self.windows)
        }
        return [layouts[window] for window in self.windows], [masks[window] for window in self.windows], bias

    def caches(self) -> list[Cache]:
        """An empty cache for the self-attention of every layer."""
        return [cast(Layer, layer).attention.cache() for layer in self.layers]

    def through(self, layer: nn.Module, *arguments: Any) -> Tensor:
        """What a layer makes of its arguments; with checkpointing its insides are not kept for the backward pass."""
        if self.activation_checkpointing and self.training and torch.is_grad_enabled():
            return checkpoint(layer, *arguments, use_reentrant=False)
        return layer(*arguments)


class PlainStack(Stack):
    """A stack whose layers have self-attention and a feed-forward network, nothing else."""

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
            {"attention": attention, "feed_forward": feed_forward},
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


def _each(window: Window, num_layers: int, full_attention_every: int | None) -> Sequence[int | None]:
    """The window of every layer. UserError: a list of another length, one beside full_attention_every, or a width below 1."""
    if window is None or isinstance(window, int):
        windows = [None if full_attention_every and layer % full_attention_every == 0 else window for layer in range(num_layers)]
    else:
        windows = list(window)  # OmegaConf's lists are none of Python's
        if full_attention_every is not None:
            raise UserError(
                f"window: {windows} says of every layer what it sees, and leaves full_attention_every={full_attention_every} nothing to say"
            )
    if len(windows) != num_layers:
        raise UserError(f"window: {windows} names {len(windows)} layers, the stack has {num_layers}")
    if any(width is not None and width < 1 for width in windows):
        raise UserError(f"window: {windows} has a width below 1; with 1 a token sees itself alone")
    return windows
