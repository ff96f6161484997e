"""What a decoder remembers between steps: a cache for each attention, and one state for each stack."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from framework.parts.layout import make_positions


class Cache:
    """What one attention has kept so far."""

    def update(self, keys_values: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Adds what was kept of new tokens and returns what `read` reads."""
        raise NotImplementedError

    def reorder(self, rows: Tensor) -> None:
        """Row i becomes what row rows[i] was (beams reorder, finished rows leave)."""
        raise NotImplementedError

    def crop(self, length: int) -> None:
        """Forgets all but the first `length` tokens. Works back to the start of the last append at least."""
        raise NotImplementedError

    def state(self) -> tuple[Tensor, ...]:
        """All that is kept since something was appended: a fixed number of tensors, the batch first. One that grows with the tokens does
        so along one dimension."""
        raise NotImplementedError

    def load_state(self, tensors: tuple[Tensor, ...], length: int) -> None:
        """Goes on from what `tensors` gave after `length` tokens; after none they are empty where they grow, and zero elsewhere."""
        raise NotImplementedError


class KVCache(Cache):
    """Keeps one row for each token: tensors (B, K, S, d), grown along S."""

    def __init__(self) -> None:
        self.keys_values: tuple[Tensor, ...] = ()

    def update(self, keys_values: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        self.keys_values = (
            tuple(torch.cat(pair, dim=-2) for pair in zip(self.keys_values, keys_values, strict=True)) if self.keys_values else keys_values
        )
        return self.keys_values

    def reorder(self, rows: Tensor) -> None:
        self.keys_values = tuple(x.index_select(0, rows) for x in self.keys_values)

    def crop(self, length: int) -> None:
        self.keys_values = tuple(x[..., :length, :] for x in self.keys_values)

    def state(self) -> tuple[Tensor, ...]:
        return self.keys_values

    def load_state(self, tensors: tuple[Tensor, ...], length: int) -> None:
        self.keys_values = tensors


@dataclass
class EncoderOutput:
    """What a decoder looks back at: the hidden states of the encoder (B, S, D) and which of them are tokens (B, S)."""

    hidden_states: Tensor
    padding_mask: Tensor | None = None


@dataclass
class DecodingState:
    """Where a stack stands in a text it writes step by step.

    caches: one for each layer. encoder_keys_values: of each layer over the encoder output, computed once (reordered with the rows);
    encoder_padding_mask (B, S) and encoder_length are the source's.
    positions, padding_mask: (B, S) of all tokens so far; padding_mask is None while all are tokens. length: S.
    """

    caches: list[Cache]
    positions: Tensor | None = None
    padding_mask: Tensor | None = None
    encoder_keys_values: list[tuple[Tensor, ...]] = field(default_factory=list)
    encoder_padding_mask: Tensor | None = None
    encoder_length: int = 0

    @property
    def length(self) -> int:
        return 0 if self.positions is None else self.positions.shape[1]

    def next_positions(self, ids: Tensor, padding_mask: Tensor | None) -> Tensor:
        """Positions of tokens ids (B, T) that go on here, where nobody gives them: (1, T), or (B, T) where rows differ."""
        if padding_mask is None and self.padding_mask is None:
            return make_positions(ids) + self.length
        padding_mask = torch.ones_like(ids, dtype=torch.bool) if padding_mask is None else padding_mask
        before = self.length if self.padding_mask is None else self.padding_mask.sum(1, keepdim=True)
        return (before + padding_mask.cumsum(1) - 1).clamp(min=0)

    def extend(self, positions: Tensor, padding_mask: Tensor | None) -> None:
        """Notes T tokens that enter: positions (B, T); padding_mask (B, T), None when all are tokens."""
        if padding_mask is not None or self.padding_mask is not None:
            new = torch.ones_like(positions, dtype=torch.bool) if padding_mask is None else padding_mask
            old = new.new_ones(new.shape[0], self.length) if self.padding_mask is None else self.padding_mask
            self.padding_mask = torch.cat((old, new), dim=1)
        self.positions = positions if self.positions is None else torch.cat((self.positions, positions), dim=1)

    def reorder(self, rows: Tensor, encoder: bool = True) -> None:
        """Rows take each other's place. encoder=False where rows stay with their source (beams of one sentence)."""
        for cache in self.caches:
            cache.reorder(rows)
        self.positions = None if self.positions is None else self.positions.index_select(0, rows)
        self.padding_mask = None if self.padding_mask is None else self.padding_mask.index_select(0, rows)
        if encoder:
            self.encoder_keys_values = [tuple(x.index_select(0, rows) for x in layer) for layer in self.encoder_keys_values]
            self.encoder_padding_mask = None if self.encoder_padding_mask is None else self.encoder_padding_mask.index_select(0, rows)

    def crop(self, length: int) -> None:
        """Forgets all but the first `length` tokens."""
        for cache in self.caches:
            cache.crop(length)
        self.positions = None if self.positions is None else self.positions[:, :length]
        self.padding_mask = None if self.padding_mask is None else self.padding_mask[:, :length]
