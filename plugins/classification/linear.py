"""Linear models of sparse features, fitted by L-BFGS.

Shapes: N rows, F features, C scores.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

ITERATIONS = 60  # of L-BFGS; more change the third digit of an accuracy
PENALTY = 0.1  # of a squared weight, where the loss of a row counts 1


@dataclass(frozen=True)
class Features:
    """The features of N rows. columns: those of all rows, one after the other; values: theirs; offsets (N,): where each row begins."""

    columns: Tensor
    values: Tensor
    offsets: Tensor

    def times(self, weights: Tensor) -> Tensor:
        """weights (F, C) -> (N, C)."""
        return embedding_bag(self.columns, weights, self.offsets, mode="sum", per_sample_weights=self.values)

    def of(self, rows: Tensor) -> "Features":
        """The features of some of the rows, (N,) bool."""
        sizes = torch.diff(self.offsets, append=torch.tensor([len(self.columns)]))
        kept, left = rows.repeat_interleave(sizes), sizes[rows]
        return Features(self.columns[kept], self.values[kept], left.cumsum(0) - left)


def fit(
    features: Features, shape: tuple[int, int], loss: Callable[[Tensor], Tensor], penalty: float = PENALTY
) -> tuple[Tensor, Tensor]:
    """Weights (F, C) and bias (C,) of the least loss, plus half the penalty for each squared weight. Liu and Nocedal 1989,
    https://doi.org/10.1007/BF01589116

    loss: of the scores (N, C), summed over rows.
    """
    weights, bias = torch.zeros(shape, requires_grad=True), torch.zeros(shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([weights, bias], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        total = (loss(features.times(weights) + bias) + penalty / 2 * weights.square().sum()) / max(1, len(features.offsets))
        total.backward()
        return total

    optimizer.step(closure)  # type: ignore[arg-type]
    return weights.detach(), bias.detach()
