"""An optimizer of signs."""

from typing import ClassVar

import torch
from torch import nn
from torch.optim import Optimizer

from framework import parameter_groups, register


@register("optimizer")
class SpecimenOptimizer(Optimizer):
    """Lion: the sign of an interpolated momentum. Chen et al. 2023, algorithm 2, https://arxiv.org/abs/2302.06675

    lr: peak learning rate of the schedule; a third to a tenth of AdamW's.
    betas: interpolation of the update, and decay of the momentum.
    weight_decay: of matrices; norms and biases do not decay.
    """

    rules: ClassVar[dict[str, str]] = {"lr >= 0": "lr must not be negative", "weight_decay >= 0": "weight_decay must not be negative"}
    state_tensors: ClassVar[int] = 1  # of the size of a parameter, for the memory that `check` reports

    def __init__(self, model: nn.Module, lr: float = 1e-4, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.1):
        self.betas = betas
        super().__init__(parameter_groups(model, lr, weight_decay), {})

    @torch.no_grad()
    def step(self, closure=None):
        """Trainers pass a closure, which computes the loss and the gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        first, second = self.betas
        for group in self.param_groups:
            for parameter in (each for each in group["params"] if each.grad is not None):
                momentum = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
                parameter.mul_(1 - group["lr"] * group["weight_decay"])  # the schedule sets the lr of the groups
                parameter.sub_(momentum.lerp(parameter.grad, 1 - first).sign(), alpha=group["lr"])
                momentum.lerp_(parameter.grad, 1 - second)
        return loss
