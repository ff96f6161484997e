"""Temperature scaling: probabilities of scores that are divided by one number, fitted to rows that the model was not trained on. Guo et al.
2017, section 4.2, https://arxiv.org/abs/1706.04599

Shapes: K temperatures.
"""

import math

import torch
from pytorch_lightning.strategies import Strategy
from torch import Tensor

from framework.data.formats import Batch
from framework.errors import UserError
from framework.tasks.capabilities import Calibrated
from framework.utils.recording import nothing_recorded

TEMPERATURES = tuple(2.0 ** (step / 4) for step in range(-12, 17))  # 1/8 to 16: K


class Calibration:
    """The losses of the rows of a split at each of several temperatures, and the temperature at which they are the lowest."""

    def __init__(self, task: Calibrated):
        self.task = task
        self.losses = torch.zeros(len(TEMPERATURES), dtype=torch.float64)  # (K,)

    def update(self, batch: Batch) -> None:
        """Adds the rows of a batch, unless it is a dummy batch, which keeps the ranks in step."""
        with nothing_recorded():
            losses = self.task.losses_at(self.task(batch), batch, TEMPERATURES)
        if not batch["@rows"].dummy:
            self.losses += losses.double().cpu()

    def fit(self, strategy: Strategy) -> None:
        """Sets the temperature of the task, by the losses of all ranks. A collective call: all ranks must make it."""
        losses = strategy.reduce(self.losses.to(strategy.root_device), reduce_op="sum")
        self.task.temperature = lowest(losses.cpu())


def lowest(losses: Tensor) -> float:
    """The temperature of the lowest loss: the lowest point of the parabola through the lowest of losses (K,) and its neighbours, over the
    logarithm of the temperature. UserError: there is none, because the losses are not finite."""
    if not losses.isfinite().all():
        raise UserError("task.calibrate: the validation rows have no finite loss, so no temperature fits them: task.calibrate=false")
    place = min(max(int(losses.argmin()), 1), len(losses) - 2)
    before, here, after = losses[place - 1 : place + 2].tolist()
    curvature = before - 2 * here + after
    shift = (before - after) / (2 * curvature) if curvature > 0 else 0.0
    step = math.log(TEMPERATURES[1] / TEMPERATURES[0])
    return TEMPERATURES[place] * math.exp(step * min(max(shift, -1.0), 1.0))
