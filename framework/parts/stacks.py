"""Stacks of layers: the base of encoders and decoders.

Shapes: B batch, T query length, S key length, D model dimension, H heads.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from framework.parts.blocks import Block
from framework.parts.caches import Cache, DecodingState
from framework.parts.layers import Layer
from framework.parts.layout import SequenceLayout
from framework.parts.masks import Mask
from framework.parts.patterns import distinct, parts_by_layer
from framework.parts.positions.base import Position
from framework.registry import Part, choice

PaddingSide = Literal["left", "right"]


class Stack(nn.Module):
    """Base class of encoders and decoders: layers over one sequence, with layouts and masks that are made once, before the first layer.

    Context arguments: dim, num_heads, num_layers, dropout, bias, epsilon, max_length, embedding_dim (features of the embeddings,
    which positions are added to), and its own attention, position, feed_forward, norm and block.

    attention: the self-attention of every layer.
    position: the position encoding of the stack.
    feed_forward: the feed-forward network of every layer.
    norm: the norms inside the blocks.
    block: how a layer wires its sublayers.
    final_norm: the norm after the last layer, with blocks that leave their output unnormalized.
    window: a token attends to tokens nearer than this many; null = full attention.
    layers: what differs between the layers: a list that repeats (`[linear, linear, multi_head]`, `[{window: null}, {}, {}]`), or a mapping
        (`{every 4: {position: none}, last: {feed_forward: mlp}}`); null = nothing. See framework/registry/layers.py.
    stochastic_depth: probability that a sublayer of the last layer adds nothing for a row in training; it grows linearly from 0 with the
        layers, and layers that share their weights all have it. Huang et al. 2016, section 3, https://arxiv.org/abs/1603.09382
    activation_checkpointing: recompute layers in the backward pass instead of storing them: less memory, about a third more time.
    """

    causal: ClassVar[bool] = False
    layer_class: ClassVar[type[nn.Module]] = Layer
    shares_weights: ClassVar[bool] = False  # one layer, applied num_layers times
    scope_boundary: ClassVar[bool] = True
    excluded_slots: ClassVar = ("cross",)
    option_traits: ClassVar = {"training_only": ("activation_checkpointing", "stochastic_depth"), "by_layer": ("layers",)}
    provides: ClassVar[dict[str, str]] = {"window": "window is not None"}
    rules: ClassVar[dict[str, str]] = {
        "0 <= stochastic_depth < 1": "stochastic_depth must be in [0, 1)",
        "window is None or window >= 1": "a window must be at least 1 (1 = a token attends to itself alone)",
    }

    def __init__(
        self,
        dim: int,
        num_heads: int,
        num_layers: int,
        dropout: float,
        bias: bool,
        epsilon: float,
        max_length: int,
        embedding_dim: int,
        attention: Part = choice("attention", "multi_head", follows="attention"),
        position: Part = choice("position", "learned", follows="position"),
        feed_forward: Part = choice("feed_forward", "mlp", follows="feed_forward"),
        norm: Part = choice("norm", "layer", follows="norm"),
        block: Part = choice("block", "pre_norm", follows="block"),
        final_norm: Part = choice("norm", "layer", follows="norm"),
        window: int | None = None,
        layers: list[Any] | dict[str, Any] | None = None,
        stochastic_depth: float = 0.0,
        activation_checkpointing: bool = False,
        **cross_attention: Part,
    ):
        super().__init__()
        context = {"dim": dim, "num_heads": num_heads, "num_layers": num_layers, "dropout": dropout, "bias": bias, "epsilon": epsilon}
        sublayers = {"attention": attention, **cross_attention, "feed_forward": feed_forward}
        chosen = parts_by_layer(layers, num_layers, {**sublayers, "norm": norm, "position": position}, window)
        # layers that share their weights are as many as differ in their parts
        self.depths = distinct([parts.weights for parts in chosen]) if self.shares_weights else list(range(num_layers))
        built: list[Any] = [
            self.layer_class(
                block=block(**context, layer=layer, sublayers=len(sublayers), norm=chosen[layer].slots["norm"]),
                **{name: chosen[layer].slots[name](**context, layer=layer, causal=self.causal and name != "cross") for name in sublayers},
                depth_dropout=stochastic_depth * (1 if self.shares_weights else (layer + 1) / num_layers),
            )
            for layer in (self.depths.index(each) for each in range(max(self.depths) + 1))
        ]
        self.windows = [parts.window for parts in chosen]
        positions = [parts.slots["position"] for parts in chosen]
        head_dims = [built[number].attention.rotary_dim for number in self.depths]
        kinds = [_kind(part, head_dim) for part, head_dim in zip(positions, head_dims, strict=True)]
        self.positions = distinct([_kind(position, head_dims[0]), *kinds])[1:]  # of the layers; 0 is that of the stack
        around: dict[str, Any] = {"dim": embedding_dim, "num_heads": num_heads, "max_length": max_length, "causal": self.causal}
        around |= {"epsilon": epsilon, "bias": bias}
        self.position = position(**around, head_dim=head_dims[0])
        self.layers = nn.ModuleList(built)
        firsts = (self.positions.index(number) for number in range(1, max(self.positions) + 1))
        self.layer_positions = nn.ModuleList(positions[layer](**around, head_dim=head_dims[layer]) for layer in firsts)
        unnormalized = cast(type[Block], block.cls).final_norm
        self.residual_additions = num_layers * len(sublayers) if unnormalized else 0  # to a stream that no norm scales
        self.final_norm = final_norm(dim=dim, epsilon=epsilon, bias=bias) if unnormalized else nn.Identity()
        self.activation_checkpointing = activation_checkpointing

    def prepare(
        self,
        x: Tensor,
        positions: Tensor,
        padding_mask: Tensor | None,
        documents: Tensor | None,
        state: DecodingState | None = None,
        padding_side: PaddingSide = "left",
    ) -> tuple[list[SequenceLayout], list[Mask]]:
        """Layout and mask of x (B, T, D) for every layer; those of layers with the same window and position are one object. With a state,
        which `extend` has given these tokens, the keys are all of its tokens. Padding on the right is invisible to causal attention, which
        then needs no mask of it."""
        assert state is None or documents is None, "packed documents have no decoding state"
        keys, keys_padding_mask = (positions, padding_mask) if state is None else (state.positions, state.padding_mask)
        if self.causal and padding_side == "right":
            keys_padding_mask = None
        assert keys is not None
        pair = None if documents is None else (documents, documents)
        encodings = [cast(Position, self.position), *(cast(Position, position) for position in self.layer_positions)]
        biases: dict[int, Tensor | None] = {}
        relatives: dict[int, Any] = {}
        vectors: dict[int, tuple[Tensor, Tensor] | None] = {}
        for number in set(self.positions):
            position = encodings[number]
            bias = position.bias(positions, keys)
            biases[number] = None if bias is None else bias.to(x.dtype)  # (B or 1, H, T, S)
            vectors[number] = position.vectors(positions, keys)
            related = type(position).relative is not Position.relative
            relatives[number] = partial(position.relative, queries=positions, keys=keys) if related else None
        head_dims = (cast(Layer, layer).attention.rotary_dim for layer in self.by_depth())
        kinds = list(zip(self.positions, self.windows, head_dims, strict=True))
        shared: dict[str, Any] = {}
        layouts, masks = {}, {}
        for number, window, head_dim in set(kinds):
            rotary = encodings[number].rotary(positions, head_dim, window)
            layouts[number, window, head_dim] = SequenceLayout(positions, padding_mask, rotary, shared)
            if (number, window) not in masks:
                seen = (x.shape[1], keys.shape[1], self.causal, keys_padding_mask, pair, window, x.device)
                masks[number, window] = Mask(*seen, biases[number], relatives[number], vectors[number])
        return [layouts[kind] for kind in kinds], [masks[kind[:2]] for kind in kinds]

    def by_depth(self) -> list[nn.Module]:
        """The layers in the order in which they are applied."""
        return [self.layers[number] for number in self.depths]

    def caches(self) -> list[Cache]:
        """An empty cache for the self-attention of every layer."""
        return [cast(Layer, layer).attention.cache() for layer in self.by_depth()]

    def run_layers(self, x: Tensor, *arguments: Sequence[Any], trunk: list[Tensor] | None = None) -> Tensor:
        """Run all layers, with activation checkpointing if it is on, and the final norm. arguments: of the layers, a value for each.
        trunk: a list that receives the hidden states before the last layer."""
        recompute = self.activation_checkpointing and self.training and torch.is_grad_enabled()
        for number, (layer, *values) in enumerate(zip(self.by_depth(), *arguments, strict=True)):
            if trunk is not None and number == len(self.depths) - 1:
                trunk.append(x)
            x = checkpoint(layer, x, *values, use_reentrant=False) if recompute else layer(x, *values)
        return self.final_norm(x)


def _kind(position: Part, head_dim: int) -> tuple[str, int | None]:
    """The key of the module of a position; layers with equal keys share the module."""
    return repr(position), head_dim if "relative" in getattr(position.cls, "provides", ()) else None
