"""Optimizers and schedules that are wrong on purpose: each is rejected by the name of the promise that it breaks."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from framework.registry import Part
from framework.testing import OptimizerPromises, SchedulePromises
from framework.training.groups import parameter_groups
from framework.training.schedules import Schedule
from tests.conformance.rejects import assert_accepted, assert_rejected


class Right(torch.optim.Optimizer):
    """Gradient descent with momentum; nothing is wrong with this one."""

    def __init__(self, model: nn.Module, lr: float = 0.01, weight_decay: float = 0.01):
        if lr < 0 or weight_decay < 0:
            raise ValueError(f"lr={lr} and weight_decay={weight_decay} must not be negative")
        super().__init__(self.groups(model, lr, weight_decay), {})

    def groups(self, model: nn.Module, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        return parameter_groups(model, lr, weight_decay)

    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    self.update(parameter, group)
        return loss

    def update(self, parameter, group):
        if parameter.grad is not None:
            moving = self.state[parameter].setdefault("moving", torch.zeros_like(parameter))
            moving.mul_(0.9).add_(parameter.grad.sign() * parameter.grad.abs().clamp(max=1e3))
            parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(moving, alpha=group["lr"])


class Ascends(Right):
    def update(self, parameter, group):
        if parameter.grad is not None:
            parameter.add_(parameter.grad, alpha=group["lr"])


class DoesNothing(Right):
    def update(self, parameter, group): ...


class TakesFrozen(Right):
    def groups(self, model, lr, weight_decay):
        return [{"params": list(model.parameters()), "lr": lr, "weight_decay": weight_decay}]


class LeavesBiases(Right):
    def groups(self, model, lr, weight_decay):
        return [{"params": [p for p in model.parameters() if p.ndim > 1 and p.requires_grad], "lr": lr, "weight_decay": weight_decay}]


class DecaysNorms(Right):
    def groups(self, model, lr, weight_decay):
        return [{**group, "weight_decay": weight_decay} for group in parameter_groups(model, lr, weight_decay)]


class ForgetsDecay(Right):
    def update(self, parameter, group):
        super().update(parameter, {**group, "weight_decay": 0.0})


class HasItsOwnRate(Right):
    def __init__(self, model, lr: float = 0.01, weight_decay: float = 0.01):
        super().__init__(model, lr, weight_decay)
        self.rate = lr

    def update(self, parameter, group):
        super().update(parameter, {**group, "lr": self.rate})


class DecaysBesideTheRate(Right):
    def update(self, parameter, group):
        super().update(parameter, group)
        parameter.mul_(1 - group["weight_decay"] / 100)


class DecaysWithoutGradient(Right):
    def update(self, parameter, group):
        if parameter.grad is None:
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
        super().update(parameter, group)


class DriftsOnMomentum(Right):
    def update(self, parameter, group):
        if parameter.grad is None:
            parameter.grad = torch.ones_like(parameter)
        super().update(parameter, group)


class DividesByTheNorm(Right):
    def update(self, parameter, group):
        if parameter.grad is not None:
            parameter.sub_(parameter.grad / parameter.grad.norm(), alpha=group["lr"])


class Squares(Right):
    def update(self, parameter, group):
        if parameter.grad is not None:
            parameter.sub_(parameter.grad / (parameter.grad.square().square() + 1e-8).sqrt() * 1e38 * 1e38, alpha=group["lr"])


class CallsTwice(Right):
    def step(self, closure=None):
        if closure is not None:
            with torch.enable_grad():
                closure()
        return super().step(closure)


class IgnoresTheClosure(Right):
    def step(self, closure=None):
        return super().step()


class WithoutGradients(Right):
    @torch.no_grad()
    def step(self, closure=None):
        loss = closure() if closure else None
        super().step()
        return loss


class KeepsItsMomentumElsewhere(Right):
    def update(self, parameter, group):
        self.moving = getattr(self, "moving", {})
        if parameter.grad is not None:
            moving = self.moving.setdefault(id(parameter), torch.zeros_like(parameter))
            parameter.sub_(moving.mul_(0.9).add_(parameter.grad), alpha=group["lr"])


class KeepsFunctions(Right):
    def update(self, parameter, group):
        super().update(parameter, group)
        if parameter.grad is not None:
            self.state[parameter]["how"] = torch.nn.ReLU()


class TakesAnything(Right):
    def __init__(self, model: nn.Module, lr: float = 0.01, weight_decay: float = 0.01):
        torch.optim.Optimizer.__init__(self, self.groups(model, lr, weight_decay), {})


class TakesAnyDecay(TakesAnything):
    def __init__(self, model: nn.Module, lr: float = 0.01, weight_decay: float = 0.01):
        assert lr >= 0 or self.refuse()
        super().__init__(model, lr, weight_decay)

    def refuse(self):
        raise ValueError("lr must not be negative")


OPTIMIZERS = {
    "lowers the loss": (Ascends, DoesNothing),
    "groups hold the trained parameters": (TakesFrozen, LeavesBiases),
    "matrices alone decay": (DecaysNorms, ForgetsDecay),
    "follows the schedule": (HasItsOwnRate, DecaysBesideTheRate),
    "leaves parameters without gradient": (DecaysWithoutGradient, DriftsOnMomentum),
    "stays finite": (DividesByTheNorm, Squares),
    "runs the closure once": (CallsTwice, IgnoresTheClosure, WithoutGradients),
    "saves and loads": (KeepsItsMomentumElsewhere, KeepsFunctions),
    "refuses wrong values": (TakesAnything, TakesAnyDecay),
}


def test_a_right_optimizer_is_accepted():
    assert_accepted(OptimizerPromises, Right)


@pytest.mark.parametrize(("promise", "wrong"), [(promise, wrong) for promise, all in OPTIMIZERS.items() for wrong in all])
def test_a_wrong_optimizer_is_rejected(promise, wrong):
    assert_rejected(OptimizerPromises, promise, wrong)


class Halves(Schedule):
    """Half at the middle of the run, and so on; nothing is wrong with this one."""

    def __init__(self, total: float, warmup: float = 0.0):
        super().__init__(total, warmup)

    def shape(self, step):
        return 0.5 ** (2 * self.progress(step))


class EndsBelowZero(Halves):
    def shape(self, step):
        return 1 - 2 * self.progress(step)


class BeginsAtZero(Halves):
    def __call__(self, step):
        return min(1.0, step / 10)


class DividesByTheRest(Halves):
    def shape(self, step):
        return 1 / (self.total - step) * (self.total - self.warmup) if step != self.total else math.inf


class Counts(Halves):
    calls = 0

    def shape(self, step):
        self.calls += 1
        return 1 / self.calls


class RemembersTheLast(Halves):
    last = 1.0

    def shape(self, step):
        self.last = 0.99 * self.last if step else 1.0
        return self.last


class Doubles(Halves):
    def __call__(self, step):
        return 2 * super().__call__(step)


class NeverReachesOne(Halves):
    def shape(self, step):
        return 0.5


class JumpsUp(Halves):
    def __call__(self, step):
        return 0.1 if step < self.warmup else self.shape(step)


class WarmsUpAgain(Halves):
    def shape(self, step):
        return 0.5 + min(0.5, self.progress(step))


class TakesNoShares(Halves):
    def steps(self, amount, option):
        return amount


SCHEDULES = {
    "factors are positive and finite": (EndsBelowZero, BeginsAtZero, DividesByTheRest),
    "is a function of the step": (Counts, RemembersTheLast),
    "peaks at one": (Doubles, NeverReachesOne),
    "warms up within its steps": (JumpsUp, WarmsUpAgain, TakesNoShares),
}


def test_a_right_schedule_is_accepted():
    assert_accepted(SchedulePromises, Halves)


@pytest.mark.parametrize(("promise", "wrong"), [(promise, wrong) for promise, all in SCHEDULES.items() for wrong in all])
def test_a_wrong_schedule_is_rejected(promise, wrong):
    assert_rejected(SchedulePromises, promise, Part(wrong))
