"""Base class of position encodings, and the option without one."""

from typing import ClassVar

from torch import Tensor, nn

from framework.parts.layout import RotaryEmbedding
from framework.registry import register


class Position(nn.Module):
    """A position encoding: five hooks, each without effect by default.

    Context arguments: dim (of the embeddings), num_heads, head_dim (features of a query), max_length, causal (whether the stack is),
    epsilon and bias (of norms). It declares in `provides` what it gives, so that rules of other parts can refuse it: `bias`, `rotary`,
    `relative`, `vectors`, and `added` if it is added to the embeddings, so that every layer sees it; and `table` if it has a table of
    max_length entries.

    >>> position = Part("position/alibi")(num_heads=4, causal=True)
    >>> positions = torch.arange(5)[None]
    >>> isinstance(position, Position), position.bias(positions, positions).shape
    (True, torch.Size([1, 4, 5, 5]))
    """

    rules: ClassVar[dict[str, str]] = {}
    provides: ClassVar[tuple[str, ...]] = ()

    def embed(self, x: Tensor, positions: Tensor) -> Tensor:
        """Token embeddings x (B, T, D) with the encoding of positions (B or 1, T) added."""
        return x

    def rotary(self, positions: Tensor, dim: int, window: int | None = None) -> RotaryEmbedding | None:
        """Rotary embedding at positions (B or 1, T) of at most `dim` features of a head. window: of the layer; None = full attention."""
        return None

    def bias(self, queries: Tensor, keys: Tensor) -> Tensor | None:
        """Bias (B or 1, H, T, S) on the scores of queries at positions (B or 1, T) and keys at positions (B or 1, S)."""
        return None

    def relative(self, query: Tensor, queries: Tensor, keys: Tensor) -> Tensor | None:
        """Bias (B, H, T, S) on the scores that depends on the queries (B, H, T, d), scaled as the scores are. queries, keys: as of `bias`.
        `attend` adds it; an attention that provides `relative_scores` calls that."""
        return None

    def vectors(self, queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor] | None:
        """A table of vectors (P, D), and places in it (B or 1, T, S) of pairs of queries and keys. queries, keys: as of `bias`. An
        attention that provides `projected_vectors` projects them as it does tokens, and adds their products with queries and keys."""
        return None


@register("position", "none")
class NoPosition(Position):
    """No position encoding; a causal stack can infer positions from its mask. Kazemnejad et al. 2023, section 4, https://arxiv.org/abs/2305.19466"""
