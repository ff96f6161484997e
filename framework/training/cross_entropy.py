"""Cross entropy where there is something to predict.

Shapes: B batch, T tokens, N targets that count, D model width, V vocabulary.
"""

from typing import Any

from torch import Tensor
from torch.nn import functional

IGNORED = -100  # stands in targets (B, T) where there is nothing to predict


def token_losses(model: Any, hidden: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Nats of each target that is not ignored, (N,) in reading order.

    hidden: (B, T, D), targets: (B, T). Padding never reaches the output layer, which costs the most where the vocabulary is large.
    """
    counted = targets != IGNORED
    logits = model.logits(hidden[counted])  # (N, V)
    return functional.cross_entropy(
        logits.float() if logits.dtype.itemsize < 4 else logits, targets[counted], reduction="none", label_smoothing=label_smoothing
    )


def row_losses(losses: Tensor, targets: Tensor) -> Tensor:
    """Nats of each row, (B,) float64, from the losses (N,) of its targets (B, T)."""
    row = (targets != IGNORED).nonzero()[:, 0]
    return losses.new_zeros(len(targets)).double().index_add(0, row, losses.double())
