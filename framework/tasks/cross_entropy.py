"""Cross entropy where there is something to predict.

Shapes: B batch, T tokens, N targets that count, D model width, V vocabulary.
"""

from typing import Any

from torch import Tensor
from torch.nn import functional

from framework.tasks.outputs import DistillationOutputs

IGNORED = -100  # stands in targets (B, T) where there is nothing to predict


def tell(model: Any, hidden: Tensor, targets: Tensor) -> DistillationOutputs:
    """States (N, D) and scores of all tokens (N, V) where there is something to predict, in reading order.

    hidden: (B, T, D), targets: (B, T). Padding never reaches the output layer, which costs the most where the vocabulary is large.
    """
    states = hidden[targets != IGNORED]  # (N, D)
    return DistillationOutputs(states, model.logits(states))


def told_losses(told: DistillationOutputs, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Nats (N,) of what `tell` told of targets (B, T)."""
    logits, wanted = told.logits, targets[targets != IGNORED]
    logits = logits.float() if logits.dtype.itemsize < 4 else logits
    return functional.cross_entropy(logits, wanted, reduction="none", label_smoothing=label_smoothing)


def row_losses(losses: Tensor, targets: Tensor) -> Tensor:
    """Nats of each row, (B,) float64, from the losses (N,) of its targets (B, T)."""
    row = (targets != IGNORED).nonzero()[:, 0]
    return losses.new_zeros(len(targets)).double().index_add(0, row, losses.double())
