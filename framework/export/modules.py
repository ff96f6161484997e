"""Tasks as modules that take tensors and give tensors: what a graph is made of.

Shapes: B batch, T tokens that enter, P tokens before them, S tokens of a source.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from torch import Tensor, nn

from framework.parts.caches import DecodingState
from framework.parts.layout import make_positions
from framework.tasks.capabilities import Exportable


class Scoring(nn.Module):
    """`Exportable.export_forward` of tensors: scores of texts, or of their tokens."""

    def __init__(self, task: Exportable):
        super().__init__()
        self.task = task

    def forward(self, ids: Tensor, padding_mask: Tensor, segments: Tensor | None = None) -> Tensor:
        batch = {"ids": ids, "padding_mask": padding_mask}
        return self.task.export_forward(batch if segments is None else {**batch, "segments": segments})


class Continuing(nn.Module):
    """Scores of the token that comes next, after every token of a text; padding is on either side."""

    def __init__(self, model: Any):
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, padding_mask: Tensor) -> Tensor:
        return self.model.logits(self.model(ids, padding_mask))  # (B, T, V)


class Rewriting(nn.Module):
    """Scores of the token that comes next, after every token of a target, padded on the right."""

    def __init__(self, model: Any):
        super().__init__()
        self.model = model

    def forward(self, source: Tensor, source_padding_mask: Tensor, target: Tensor) -> Tensor:
        return self.model.logits(self.model(source, target, source_padding_mask))  # (B, T, V)


class Remembering(nn.Module):
    """What the layers of a decoder keep of a source, in one row."""

    def __init__(self, model: Any):
        super().__init__()
        self.model = model

    def forward(self, source: Tensor, source_padding_mask: Tensor) -> tuple[Tensor, ...]:
        return flat(self.model.decoder.encoder_keys_values(self.model.encode(source, source_padding_mask)))


class Stepping(nn.Module):
    """Goes on with a text from what is kept of it: scores of the token that comes next, and what is kept now.

    encoder_keys_values: number of tensors that each layer keeps of the encoder output; empty without an encoder. caches: of the text.
    """

    def __init__(self, model: Any, caches: Sequence[int], encoder_keys_values: Sequence[int]):
        super().__init__()
        self.model, self.caches, self.encoder_keys_values = model, caches, encoder_keys_values

    def forward(self, ids: Tensor, padding_mask: Tensor, past_padding_mask: Tensor, *kept: Tensor) -> tuple[Tensor, ...]:
        """ids (B, T), of which padding_mask (B, T) are tokens, behind past_padding_mask (B, P)."""
        return self.step(ids, padding_mask, past_padding_mask, iter(kept), DecodingState(self.model.decoder.caches()))

    def step(
        self, ids: Tensor, padding_mask: Tensor, past_padding_mask: Tensor, kept: Iterator[Tensor], state: DecodingState
    ) -> tuple[Tensor, ...]:
        state.positions, state.padding_mask = make_positions(past_padding_mask, past_padding_mask), past_padding_mask  # (B, P)
        for cache, number in zip(state.caches, self.caches, strict=True):
            cache.load_state(tuple(islice(kept, number)))
        logits = self.model.logits(self.model.decode(ids, state, padding_mask))  # (B, T, V)
        assert state.padding_mask is not None
        return logits, state.padding_mask, *flat([cache.state() for cache in state.caches])


class LookingStepping(Stepping):
    """The same with a source to look at."""

    def forward(  # type: ignore[override]
        self, ids: Tensor, padding_mask: Tensor, past_padding_mask: Tensor, source_padding_mask: Tensor, *kept: Tensor
    ) -> tuple[Tensor, ...]:
        """source_padding_mask (B, S): which tokens of the source are some."""
        tensors = iter(kept)
        encoder_keys_values = [tuple(islice(tensors, number)) for number in self.encoder_keys_values]
        state = DecodingState(
            self.model.decoder.caches(),
            encoder_keys_values=encoder_keys_values,
            encoder_padding_mask=source_padding_mask,
            encoder_length=source_padding_mask.shape[1],
        )
        return self.step(ids, padding_mask, past_padding_mask, tensors, state)


def flat(layers: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    return tuple(tensor for layer in layers for tensor in layer)
