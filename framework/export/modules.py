"""Modules to export: tensors in, tensors out.

Shapes: B batch, T tokens of this call, P tokens before them, S source tokens, V vocabulary, K features of a token.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from torch import Tensor, nn

from framework.parts.caches import DecodingState
from framework.parts.layout import make_positions
from framework.tasks.capabilities import Exportable


class Scores(nn.Module):
    """`Exportable.export_forward` of tensors: scores of texts, or of their tokens."""

    def __init__(self, task: Exportable):
        super().__init__()
        self.task = task

    def forward(self, ids: Tensor, padding_mask: Tensor, segments: Tensor | None = None) -> Tensor:
        batch = {"ids": ids, "padding_mask": padding_mask}
        return self.task.export_forward(batch if segments is None else {**batch, "segments": segments})


class FeatureScores(Scores):
    """`Scores` of a task that reads features of tokens beside their ids."""

    def forward(self, ids: Tensor, padding_mask: Tensor, features: Tensor) -> Tensor:  # type: ignore[override]
        """features: (B, T, K), as `Exportable.export_features` declares."""
        return self.task.export_forward({"ids": ids, "padding_mask": padding_mask, "features": features})


class ModelModule(nn.Module):
    """Base class of modules that compute with a language model."""

    def __init__(self, model: Any):
        super().__init__()
        self.model = model


class DecoderLogits(ModelModule):
    """Next-token logits of a decoder-only model; padding on either side."""

    def forward(self, ids: Tensor, padding_mask: Tensor) -> Tensor:
        return self.model.logits(self.model(ids, padding_mask))  # (B, T, V)


class EncoderDecoderLogits(ModelModule):
    """Next-token logits of an encoder-decoder model; targets are padded on the right."""

    def forward(self, source: Tensor, source_padding_mask: Tensor, target: Tensor) -> Tensor:
        return self.model.logits(self.model(source, target, source_padding_mask))  # (B, T, V)


class EncoderKeysValues(ModelModule):
    """Encoder: keys and values of the source for the cross-attention of every decoder layer, flattened."""

    def forward(self, source: Tensor, source_padding_mask: Tensor) -> tuple[Tensor, ...]:
        return flatten(self.model.decoder.encoder_keys_values(self.model.encode(source, source_padding_mask)))


class DecoderStep(ModelModule):
    """One step of incremental decoding: next-token logits, and the state of the caches after it.

    cache_sizes: number of cache tensors of each layer. encoder_sizes: number of encoder tensors of each layer; empty without an encoder.
    """

    def __init__(self, model: Any, cache_sizes: Sequence[int], encoder_sizes: Sequence[int] = ()):
        super().__init__(model)
        self.cache_sizes, self.encoder_sizes = cache_sizes, encoder_sizes

    def forward(self, ids: Tensor, padding_mask: Tensor, past_padding_mask: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """ids, padding_mask (B, T); past_padding_mask (B, P); tensors: of the caches."""
        return self.step(ids, padding_mask, past_padding_mask, iter(tensors), DecodingState(self.model.decoder.caches()))

    def step(
        self, ids: Tensor, padding_mask: Tensor, past_padding_mask: Tensor, tensors: Iterator[Tensor], state: DecodingState
    ) -> tuple[Tensor, ...]:
        state.positions, state.padding_mask = make_positions(past_padding_mask, past_padding_mask), past_padding_mask  # (B, P)
        for cache, size in zip(state.caches, self.cache_sizes, strict=True):
            cache.load_state(tuple(islice(tensors, size)))
        logits = self.model.logits(self.model.decode(ids, state, padding_mask))  # (B, T, V)
        assert state.padding_mask is not None
        return logits, state.padding_mask, *flatten([cache.state() for cache in state.caches])


class CrossDecoderStep(DecoderStep):
    """`DecoderStep` with cross-attention to a source."""

    def forward(  # type: ignore[override]
        self, ids: Tensor, padding_mask: Tensor, past_padding_mask: Tensor, source_padding_mask: Tensor, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        """source_padding_mask (B, S); tensors: of the encoder, then of the caches."""
        remaining = iter(tensors)
        state = DecodingState(
            self.model.decoder.caches(),
            encoder_keys_values=[tuple(islice(remaining, size)) for size in self.encoder_sizes],
            encoder_padding_mask=source_padding_mask,
            encoder_length=source_padding_mask.shape[1],
        )
        return self.step(ids, padding_mask, past_padding_mask, remaining, state)


def flatten(layers: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    return tuple(tensor for layer in layers for tensor in layer)
