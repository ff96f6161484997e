"""Learned position embeddings."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from framework.errors import UserError
from framework.parts.positions.base import Position
from framework.registry import register


@register("position")
class LearnedPosition(Position):
    """Learned position embeddings, added to the token embeddings. Gehring et al. 2017, section 3.1, https://arxiv.org/abs/1705.03122

    offset: index of position 0 in the table (BART and OPT: 2).
    """

    provides: ClassVar = ("table", "added")
    rules: ClassVar[dict[str, str]] = {"0 <= offset <= 2**24": "offset must not be negative, and at most 2**24"}

    def __init__(self, dim: int, max_length: int, offset: int = 0):
        super().__init__()
        self.offset = offset
        self.table = nn.Embedding(max_length + offset, dim)

    def embed(self, x: Tensor, positions: Tensor) -> Tensor:
        """UserError: a position beyond the table. Training on an accelerator checks the length alone: reading a value would synchronize."""
        size = self.table.num_embeddings - self.offset
        exact = not torch.compiler.is_compiling() and (positions.device.type == "cpu" or not torch.is_grad_enabled())
        needed = int(positions.max()) + 1 if exact else positions.shape[1]
        if needed > size:
            raise UserError(
                f"a text needs {needed} positions and the learned position has {size} (model.max_length): raise it or shorten the text"
            )
        return x + self.table(positions + self.offset)  # (B, T, D)
