"""What every position promises: hooks, each doing nothing unless the idea needs it."""

from typing import ClassVar

from torch import Tensor, nn

from framework.parts.layout import RotaryEmbedding


class Position(nn.Module):
    """Tells tokens apart by where they stand.

    An owner offers: dim, num_heads, max_length, causal (the stack looks back only).
    A position that adds a bias says `provides = ("bias",)`; one that has a table of fixed length, `("table",)`.
    """

    rules: ClassVar[dict[str, str]] = {}
    provides: ClassVar[tuple[str, ...]] = ()

    def embed(self, x: Tensor, positions: Tensor) -> Tensor:
        """Token embeddings x (B, T, D) at positions (B or 1, T), with their places added."""
        return x

    def rotary(self, positions: Tensor, dim: int, window: int | None = None) -> RotaryEmbedding | None:
        """Rotary embedding of queries and keys at positions (B or 1, T), over at most `dim` features of a head; window: of the layer."""
        return None

    def bias(self, queries: Tensor, keys: Tensor) -> Tensor | None:
        """(B or 1, H, T, S), added to the scores of queries at (B or 1, T) looking at keys at (B or 1, S)."""
        return None
