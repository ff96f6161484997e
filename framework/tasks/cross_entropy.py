"""Cross entropy at targets.

Shapes: B batch, T tokens, N targets (not ignored), D model width, V vocabulary.
"""

from typing import Any

from torch import Tensor
from torch.nn import functional

from framework.data.targets import IGNORED
from framework.tasks.capabilities import DistillationOutputs


def logits_at_targets(model: Any, hidden: Tensor, targets: Tensor, places: Tensor | None = None) -> DistillationOutputs:
    """Hidden states (N, D) and logits (N, V) at the targets, in reading order.

    hidden: (B, T, D), targets: (B, T). places: of the targets (`target_places`); without them a GPU is waited for, which has to count them.
    Padding is dropped before the output layer, which is the most expensive one of a large vocabulary.

    >>> model = build_model(compose(["task=completion", "model.dim=16"]))
    >>> hidden, targets = model(torch.tensor([[5, 6, 7]])), torch.tensor([[6, 7, IGNORED]])
    >>> logits_at_targets(model, hidden, targets, target_places(targets)).hidden.shape
    torch.Size([2, 16])
    """
    states = at_targets(hidden, targets, places)  # (N, D)
    return DistillationOutputs(states, model.logits(states))


def target_losses(outputs: DistillationOutputs, targets: Tensor, label_smoothing: float = 0.0, places: Tensor | None = None) -> Tensor:
    """Cross entropy in nats (N,) of the logits at targets (B, T). places: as in `logits_at_targets`.

    >>> targets = torch.tensor([[1, IGNORED], [0, 1]])
    >>> outputs = DistillationOutputs(hidden=torch.zeros(3, 8), logits=torch.zeros(3, 2))
    >>> target_losses(outputs, targets)
    tensor([0.6931, 0.6931, 0.6931])
    """
    logits = outputs.logits
    logits = logits.float() if logits.dtype.itemsize < 4 else logits
    return functional.cross_entropy(logits, at_targets(targets, targets, places), reduction="none", label_smoothing=label_smoothing)


def row_losses(losses: Tensor, targets: Tensor) -> Tensor:
    """Nats of each row, (B,) float64, from the losses (N,) of its targets (B, T).

    >>> row_losses(torch.tensor([0.5, 1.0, 2.0]), torch.tensor([[1, IGNORED], [0, 1]])).tolist()
    [0.5, 3.0]
    """
    row = (targets != IGNORED).nonzero()[:, 0]
    return losses.new_zeros(len(targets)).double().index_add(0, row, losses.double())


def at_targets(values: Tensor, targets: Tensor, places: Tensor | None) -> Tensor:
    """Values (B, T, ...) at the targets (B, T), in reading order: (N, ...). places: as in `logits_at_targets`.

    >>> targets = torch.tensor([[1, IGNORED], [0, 1]])
    >>> at_targets(torch.tensor([[5, 6], [7, 8]]), targets, target_places(targets))
    tensor([5, 7, 8])
    """
    if places is None:
        return values[targets != IGNORED]
    flat = values.flatten(0, 1)
    return flat if len(places) == len(flat) else flat.index_select(0, places)
