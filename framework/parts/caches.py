"""Incremental decoding: a cache for each attention, and one state for each stack."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from framework.parts.layout import make_positions

ROOM = 32  # tokens of a buffer that is made anew, beyond those that it holds


class Cache:
    """Keys and values of one attention, over the tokens decoded so far.

    >>> cache: Cache = KVCache()
    >>> keys, values = cache.update((torch.randn(1, 2, 3, 8), torch.randn(1, 2, 3, 8)))
    >>> keys, values = cache.update((torch.randn(1, 2, 1, 8), torch.randn(1, 2, 1, 8)))
    >>> keys.shape
    torch.Size([1, 2, 4, 8])
    """

    def update(self, keys_values: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Append keys and values of new tokens; return all that the attention's `forward` takes."""
        raise NotImplementedError

    def reorder(self, rows: Tensor) -> None:
        """Select rows of the batch: row i becomes row rows[i] (beams change places, finished rows leave)."""
        raise NotImplementedError

    def state(self) -> tuple[Tensor, ...]:
        """The contents after an update, for export: a fixed number of tensors, batch first. Each grows along one dimension at most."""
        raise NotImplementedError

    def load_state(self, tensors: tuple[Tensor, ...]) -> None:
        """Restore what `state` returned. Before the first token, growing tensors are empty and tensors of fixed size zero."""
        raise NotImplementedError


class KVCache(Cache):
    """Concatenated keys and values: tensors (B, K, S, d), growing along S.

    Where no gradient is recorded, tokens are written into buffers with room for more: a step of decoding copies its own token alone.

    >>> cache = KVCache()
    >>> keys, values = cache.update((torch.randn(2, 4, 3, 8), torch.randn(2, 4, 3, 8)))
    >>> cache.reorder(torch.tensor([1, 1]))
    >>> cache.state()[0][0].equal(keys[1])
    True
    """

    def __init__(self) -> None:
        self.tensors: tuple[Tensor, ...] = ()
        self.buffers: tuple[Tensor, ...] = ()  # of which `tensors` are the first tokens; () = these have no room behind them

    def update(self, keys_values: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if not self.tensors:
            self.tensors = keys_values
        elif _in_place(self.tensors):
            self._write(keys_values)
        else:
            self.tensors = tuple(torch.cat(pair, dim=-2) for pair in zip(self.tensors, keys_values, strict=True))
            self.buffers = ()
        return self.tensors

    def _write(self, keys_values: tuple[Tensor, ...]) -> None:
        before = self.tensors[0].shape[-2]
        length = before + keys_values[0].shape[-2]
        if not self.buffers or length > self.buffers[0].shape[-2]:
            self.buffers = tuple(x.new_empty(*x.shape[:-2], length + max(ROOM, length // 8), x.shape[-1]) for x in self.tensors)
            for buffer, tensor in zip(self.buffers, self.tensors, strict=True):
                buffer[..., :before, :] = tensor
        for buffer, new in zip(self.buffers, keys_values, strict=True):
            buffer[..., before:length, :] = new
        self.tensors = tuple(buffer[..., :length, :] for buffer in self.buffers)

    def reorder(self, rows: Tensor) -> None:
        self.buffers = tuple(x.index_select(0, rows) for x in self.buffers)  # whole rows are copied faster than parts of them
        length = self.tensors[0].shape[-2] if self.buffers else 0
        self.tensors = tuple(x[..., :length, :] for x in self.buffers) or tuple(x.index_select(0, rows) for x in self.tensors)

    def state(self) -> tuple[Tensor, ...]:
        return self.tensors

    def load_state(self, tensors: tuple[Tensor, ...]) -> None:
        self.tensors, self.buffers = tensors, ()


def _in_place(tensors: tuple[Tensor, ...]) -> bool:
    """Whether tokens may be written behind these tensors: nothing is differentiated or traced."""
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.compiler.is_exporting():
        return False
    return torch.is_inference_mode_enabled() or not tensors[0].is_inference()


@dataclass
class EncoderOutput:
    """Hidden states of an encoder (B, S, D) and their padding mask (B, S), True = token; None = no padding.

    >>> model = build_model(compose(["task=translation", "model.dim=32"]))
    >>> output = model.encode(torch.tensor([[5, 6, 7]]))
    >>> isinstance(output, EncoderOutput), output.hidden_states.shape
    (True, torch.Size([1, 3, 32]))
    """

    hidden_states: Tensor
    padding_mask: Tensor | None = None


@dataclass
class DecodingState:
    """State of incremental decoding.

    caches: one for each layer.
    positions, padding_mask: (B, S) of all tokens so far; padding_mask is None while there is no padding.
    encoder_keys_values: keys and values of the encoder output for each layer's cross-attention, computed once.
    encoder_padding_mask, encoder_length: (B, S) and S of the encoder output.
    """

    caches: list[Cache]
    positions: Tensor | None = None
    padding_mask: Tensor | None = None
    encoder_keys_values: list[tuple[Tensor, ...]] = field(default_factory=list)
    encoder_padding_mask: Tensor | None = None
    encoder_length: int = 0

    @property
    def length(self) -> int:
        """Number of tokens so far, padding included."""
        return 0 if self.positions is None else self.positions.shape[1]

    def next_positions(self, ids: Tensor, padding_mask: Tensor | None) -> Tensor:
        """Positions of the next tokens ids (B, T): (1, T), or (B, T) where rows differ."""
        if padding_mask is None and self.padding_mask is None:
            return make_positions(ids) + self.length
        padding_mask = torch.ones_like(ids, dtype=torch.bool) if padding_mask is None else padding_mask
        before = self.length if self.padding_mask is None else self.padding_mask.sum(1, keepdim=True)
        return (before + padding_mask.cumsum(1) - 1).clamp(min=0)

    def extend(self, positions: Tensor, padding_mask: Tensor | None) -> None:
        """Append positions (B, T) and padding_mask (B, T) of new tokens; padding_mask None = no padding."""
        if padding_mask is not None or self.padding_mask is not None:
            new = torch.ones_like(positions, dtype=torch.bool) if padding_mask is None else padding_mask
            old = new.new_ones(new.shape[0], self.length) if self.padding_mask is None else self.padding_mask
            self.padding_mask = torch.cat((old, new), dim=1)
        self.positions = positions if self.positions is None else torch.cat((self.positions, positions), dim=1)

    def reorder(self, rows: Tensor, encoder: bool = True) -> None:
        """Select rows of the batch. encoder=False leaves the encoder's tensors (beams of one source change places)."""
        for cache in self.caches:
            cache.reorder(rows)
        self.positions = None if self.positions is None else self.positions.index_select(0, rows)
        self.padding_mask = None if self.padding_mask is None else self.padding_mask.index_select(0, rows)
        if encoder:
            self.encoder_keys_values = [tuple(x.index_select(0, rows) for x in layer) for layer in self.encoder_keys_values]
            if self.encoder_padding_mask is not None:
                self.encoder_padding_mask = self.encoder_padding_mask.index_select(0, rows)
