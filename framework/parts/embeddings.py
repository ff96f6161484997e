"""Embeddings, from token ids to the residual stream; and the heads on hidden states that belong to a model.

Shapes: B batch, T tokens, D model dimension, E embedding dimension, V vocabulary.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from framework.parts.dropout import Dropout
from framework.parts.positions.base import Position
from framework.registry import Part
from framework.utils.recording import add_loss


class Tokens(nn.Embedding):
    """Token embeddings, multiplied by sqrt(E) if scaled. Vaswani et al. 2017, section 3.4, https://arxiv.org/abs/1706.03762

    multiple: of the rows of the output layer's product in training, see `logits`; null = V rows.

    >>> Tokens(261, 16)(torch.tensor([[5, 6, 7]])).shape
    torch.Size([1, 3, 16])
    """

    def __init__(self, vocab_size: int, embedding_dim: int, scaled: bool = False, multiple: int | None = None):
        super().__init__(vocab_size, embedding_dim)
        self.scale, self.multiple = math.sqrt(embedding_dim) if scaled else 1.0, multiple or 1

    def forward(self, ids: Tensor) -> Tensor:
        x = super().forward(ids)  # (B, T, E)
        return x if self.scale == 1.0 else x * self.scale

    def logits(self, hidden: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        """Logits (..., V) of hidden states (..., E) by the embeddings as output layer, or by a weight (V, E) of its own.

        In training the weight gets rows of zeros up to a multiple of `multiple`, for which a GPU has faster kernels; their logits are cut
        off. Weights, their number and checkpoints have no such rows, and nothing can predict them.
        """
        weight = self.weight if weight is None else weight
        extra = -len(weight) % self.multiple if self.training else 0
        if not extra:
            return functional.linear(hidden, weight, bias)
        padded = functional.pad(weight, (0, 0, 0, extra)), None if bias is None else functional.pad(bias, (0, extra))
        return functional.linear(hidden, *padded)[..., : len(weight)]


class Embeddings(nn.Module):
    """Segment and position embeddings, norm, dropout, projection, in this order. Devlin et al. 2019, figure 2, https://arxiv.org/abs/1810.04805

    The projection to D, where E differs: Lan et al. 2020 (ALBERT), section 3.1, https://arxiv.org/abs/1909.11942.
    Token embeddings and position are arguments of `forward`: they belong to the model and to the stack.
    """

    def __init__(self, dim: int, embedding_dim: int, dropout: float, bias: bool, epsilon: float, embedding_norm: Part, segments: int = 0):
        super().__init__()
        self.segments = nn.Embedding(segments, embedding_dim) if segments else None
        self.norm = embedding_norm(dim=embedding_dim, epsilon=epsilon, bias=bias)
        self.dropout = Dropout(dropout)
        self.projection = nn.Identity() if embedding_dim == dim else nn.Linear(embedding_dim, dim, bias=bias)

    def forward(self, x: Tensor, position: Position, positions: Tensor, segments: Tensor | None = None) -> Tensor:
        """Token embeddings x (B, T, E) at positions (B or 1, T) -> (B, T, D). segments: (B, T); None = all 0."""
        if self.segments is not None:
            x = x + self.segments(torch.zeros_like(x[..., 0], dtype=torch.long) if segments is None else segments)
        x = self.norm(position.embed(x, positions))
        return self.projection(self.dropout(x))  # (B, T, D)


class Pooler(nn.Module):
    """Dense layer with tanh on the first token's hidden state. Devlin et al. 2019, section 3.1; as in
    https://github.com/google-research/bert/blob/master/modeling.py (pooler)"""

    def __init__(self, dim: int):
        super().__init__()
        self.dense = nn.Linear(dim, dim)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(B, T, D) -> (B, D)."""
        return torch.tanh(self.dense(hidden_states[:, 0]))


class LMHead(nn.Module):
    """Language modeling head: logits of the next token. Press and Wolf 2017, section 3, https://arxiv.org/abs/1608.05859

    tied: its weights are the token embeddings. output_cap, z_loss: see `LanguageModel`.
    """

    def __init__(
        self,
        vocab_size: int,
        dim: int,
        embedding_dim: int,
        tied: bool,
        output_bias: bool,
        output_scale: float,
        output_cap: float | None,
        z_loss: float,
    ):
        super().__init__()
        self.projection = nn.Linear(dim, embedding_dim, bias=False) if tied and embedding_dim != dim else nn.Identity()
        self.weight = None if tied else nn.Parameter(torch.empty(vocab_size, dim))
        self.bias = nn.Parameter(torch.empty(vocab_size)) if output_bias else None
        self.scale, self.cap, self.z_loss = output_scale, output_cap, z_loss

    def forward(self, hidden: Tensor, tokens: Tokens) -> Tensor:
        """Hidden states (B, T, D) -> logits (B, T, V). tokens is an argument: as a submodule it would be in every checkpoint twice."""
        hidden = self.projection(hidden)
        if self.scale != 1.0:
            hidden = hidden * self.scale
        logits = tokens.logits(hidden, self.weight, self.bias)  # (B, T, V)
        if self.cap is not None:
            logits = self.cap * torch.tanh(logits / self.cap)
        if self.z_loss and self.training:
            add_loss("output_z", self.z_loss * logits.float().logsumexp(-1).square())
        return logits
