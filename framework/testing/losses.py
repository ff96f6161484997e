"""The losses of a batch, as the learner trains them."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from framework.data.formats import Batch
from framework.utils.recording import LossPair, add_loss, recorded_losses


def losses_of(task: nn.Module, batch: Batch) -> dict[str, LossPair]:
    """Name -> (summed loss, weight): the task's own as `loss`, and the auxiliary ones of the task and its parts."""
    with torch.enable_grad(), recorded_losses() as auxiliary:  # without gradients nothing is recorded
        result = task(batch)
        for name, (loss, weight) in result.losses.items():
            add_loss(name, loss, weight)
    return {"loss": (result.loss, result.weight), **auxiliary}


def total_loss(losses: Mapping[str, LossPair]) -> Tensor:
    """The sum of the losses, each over its weight."""
    return torch.stack([loss / weight for loss, weight in losses.values()]).sum()
