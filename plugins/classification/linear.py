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
STRONG_PENALTY = 1.0  # of numbers, whose error never ends, and of pairs, whose overlaps are few and of size 1


@dataclass(frozen=True)
class Features:
    """The features of N rows. columns: those of all rows, one after the other; values: theirs; offsets (N,): where each row begins."""

    columns: Tensor
    values: Tensor
    offsets: Tensor

    def times(self, weights: Tensor) -> Tensor:
        """weights (F, C) -> (N, C)."""
        return embedding_bag(self.columns, weights, self.offsets, mode="sum", per_sample_weights=self.values)

    def scaled(self, factor: float) -> "Features":
        return Features(self.columns, factor * self.values, self.offsets)

    def of(self, rows: Tensor) -> "Features":
        """The features of some of the rows. rows: (N,) bool."""
        sizes = self._sizes()
        kept, left = rows.repeat_interleave(sizes), sizes[rows]
        return Features(self.columns[kept], self.values[kept], left.cumsum(0) - left)

    def beside(self, dense: Tensor, begin: int) -> "Features":
        """With K more features of each row, dense (N, K), whose columns begin at `begin`."""
        sizes, width = self._sizes(), dense.shape[1]
        columns = torch.arange(begin, begin + width).expand(len(dense), -1)

        def joined(one: Tensor, other: Tensor) -> Tensor:
            return torch.cat([part for pair in zip(one.split(sizes.tolist()), other, strict=True) for part in pair])

        begins = (sizes + width).cumsum(0) - sizes - width
        return Features(joined(self.columns, columns), joined(self.values, dense), begins)

    def _sizes(self) -> Tensor:
        return torch.diff(self.offsets, append=torch.tensor([len(self.columns)]))


def fit(features: Features, shape: tuple[int, int], loss: Callable[[Tensor], Tensor], penalty: float = PENALTY) -> tuple[Tensor, Tensor]:
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


def cross_fitted(features: Features, folds: Tensor, fitted: Callable[[Features, Tensor], tuple[Tensor, Tensor]], outputs: int) -> Tensor:
    """Scores (N, C) of each row by a model that was fitted to the rows of other folds.

    folds: (N,). fitted: (features of some rows, which rows those are (N,) bool) -> weights (F, C) and bias (C,). outputs: C.
    """
    scores = torch.zeros(len(folds), outputs)
    for fold in folds.unique():
        inside = folds == fold
        weights, bias = fitted(features.of(~inside), ~inside)
        scores[inside] = features.of(inside).times(weights) + bias
    return scores
