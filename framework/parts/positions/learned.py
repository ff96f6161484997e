"""A table of positions."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from framework.errors import UserError
from framework.parts.positions.base import Position
from framework.registry import register


@register("position")
class LearnedPosition(Position):
    """Adds a learned vector for each place to the embeddings. Gehring et al. 2017, section 3.1, https://arxiv.org/abs/1705.03122

    offset: rows of the table before that of the first place (BART and OPT: 2).
    """

    provides: ClassVar = ("table",)
    rules: ClassVar[dict[str, str]] = {"offset >= 0": "a table has no rows before its first"}

    def __init__(self, dim: int, max_length: int, offset: int = 0):
        super().__init__()
        self.offset = offset
        self.table = nn.Embedding(max_length + offset, dim)

    def embed(self, x: Tensor, positions: Tensor) -> Tensor:
        """UserError: a place beyond the table. On an accelerator training looks at the length alone: reading a value there waits."""
        size = self.table.num_embeddings - self.offset
        exact = not torch.compiler.is_compiling() and (positions.device.type == "cpu" or not torch.is_grad_enabled())
        needed = int(positions.max()) + 1 if exact else positions.shape[1]
        if needed > size:
            raise UserError(
                f"{needed} positions are needed and the table of the learned position has {size}: raise max_length or shorten the text"
            )
        return x + self.table(positions + self.offset)  # (B, T, D)
