"""From token ids to the stream, and from the stream to scores of tokens."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from framework.parts.positions.base import Position
from framework.registry import Part


class Tokens(nn.Embedding):
    """A vector for each token, times the root of its width if scaled. Vaswani et al. 2017, section 3.4, https://arxiv.org/abs/1706.03762"""

    def __init__(self, vocab_size: int, width: int, scaled: bool = False):
        super().__init__(vocab_size, width)
        self.scale = math.sqrt(width) if scaled else 1.0

    def forward(self, ids: Tensor) -> Tensor:
        x = super().forward(ids)  # (B, T, E)
        return x if self.scale == 1.0 else x * self.scale


class Embeddings(nn.Module):
    """Tokens, segments, positions, norm, dropout, projection, in this order. Devlin et al. 2019, figure 2, https://arxiv.org/abs/1810.04805

    A width below that of the stream, with a projection: Lan et al. 2020 (ALBERT), section 3.1, https://arxiv.org/abs/1909.11942.
    The tokens and the position are handed in: they are the model's and the stack's.
    """

    def __init__(self, dim: int, width: int, dropout: float, bias: bool, epsilon: float, norm: Part, segments: int = 0):
        super().__init__()
        self.segments = nn.Embedding(segments, width) if segments else None
        self.norm = norm(dim=width, epsilon=epsilon, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Identity() if width == dim else nn.Linear(width, dim, bias=bias)

    def forward(self, x: Tensor, position: Position, positions: Tensor, segments: Tensor | None = None) -> Tensor:
        """x: tokens (B, T, E) at positions (B or 1, T); segments (B, T), all 0 when not given."""
        if self.segments is not None:
            x = x + self.segments(torch.zeros_like(x[..., 0], dtype=torch.long) if segments is None else segments)
        x = self.norm(position.embed(x, positions))
        return self.projection(self.dropout(x))  # (B, T, D)


class Pooler(nn.Module):
    """A text as one vector: the first token's state through a layer with a tanh. Devlin et al. 2019, section 3.1; as in
    https://github.com/google-research/bert/blob/master/modeling.py (pooler)"""

    def __init__(self, dim: int):
        super().__init__()
        self.dense = nn.Linear(dim, dim)

    def forward(self, states: Tensor) -> Tensor:
        """states (B, T, D) -> (B, D)."""
        return torch.tanh(self.dense(states[:, 0]))


class LMHead(nn.Module):
    """Scores of all tokens; tied, by the table of the embeddings. Press and Wolf 2017, section 3, https://arxiv.org/abs/1608.05859"""

    def __init__(self, vocab_size: int, dim: int, width: int, tied: bool = True, bias: bool = False, scale: float = 1.0):
        super().__init__()
        self.projection = nn.Linear(dim, width, bias=False) if tied and width != dim else nn.Identity()
        self.weight = None if tied else nn.Parameter(torch.empty(vocab_size, dim))
        self.bias = nn.Parameter(torch.empty(vocab_size)) if bias else None
        self.scale = scale

    def forward(self, hidden: Tensor, tokens: Tokens) -> Tensor:
        """hidden (B, T, D). The table is handed in: kept here as well, it would stand twice in every checkpoint."""
        hidden = self.projection(hidden)
        if self.scale != 1.0:
            hidden = hidden * self.scale
        return functional.linear(hidden, tokens.weight if self.weight is None else self.weight, self.bias)  # (B, T, V)
