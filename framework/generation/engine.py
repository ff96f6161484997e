"""Decoding: one engine, any model that can decode, any strategy."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from framework.parts.caches import Memory


@dataclass(frozen=True)
class Generated:
    """ids: what was written, without prompt and end. text: the same, decoded. score: sum of log-probabilities (nats)."""

    ids: list[int]
    text: str
    score: float


class Decode:
    """The engine bound to a strategy and a tokenizer: what a task is handed to write with.

    strategy: a built part of kind `decoding`. wanted_rows: which of the validation rows are decoded; None = all.
    """

    def __init__(self, strategy: nn.Module | object, text: Callable[[list[int]], str], end: int | None, wanted_rows: int | None = None, total_rows: int | None = None):
        self.strategy, self.text, self.end = strategy, text, end
        self.wanted_rows, self.total_rows = wanted_rows, total_rows

    def wanted(self, rows: Tensor) -> Tensor:
        """(B,) True for the rows of the sample: spread evenly over the split, the same on any number of ranks."""
        raise NotImplementedError

    def __call__(self, model: nn.Module, prompt: Tensor, real: Tensor | None = None, memory: Memory | None = None,
                 longest: int | None = None) -> list[list[Generated]]:
        """Continues each prompt (B, P), padded on the left where real (B, P) is False; n-best for each row, best first.
        longest: at most this many new tokens. memory: the encoder's, where the model has one."""
        raise NotImplementedError
