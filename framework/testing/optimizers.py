"""Contract tests of optimizers, on a toy model with a head."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from framework.errors import UserError
from framework.testing.contract import KindPromises, equal, require, saved_and_loaded
from framework.testing.promise import Inapplicable
from framework.testing.toy_models import loss, toy_model

STEPS = 30


class Toy(nn.Module):
    """A model and a head in float32, as a task has them; the loss is that of the model and a quadratic of the head."""

    def __init__(self, seed: int = 0):
        super().__init__()
        self.model = toy_model("encoder_only", seed).float()
        self.head = nn.Linear(4, 2)

    def loss(self) -> Tensor:
        return loss(self.model) + (self.head.weight - 1).square().sum() + (self.head.bias + 1).square().sum()

    def values(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.named_parameters()}


class OptimizerPromises(KindPromises):
    """Contract tests of an optimizer: it gets `model`, the task, and makes the groups of its parameters."""

    def optimizer(self, toy: nn.Module, **values: Any) -> Optimizer:
        return self.with_values(**values)(model=toy)

    def test_lowers_the_loss(self) -> None:
        """Some steps with the default learning rate lower a smooth loss."""
        toy = Toy()
        optimizer, first = self.optimizer(toy), toy.loss().item()
        for _ in range(STEPS):
            step(toy, optimizer)
        last = toy.loss().item()
        require(last < first, f"lowers the loss: {STEPS} steps took it from {first:.4g} to {last:.4g}")

    def test_groups_hold_the_trained_parameters(self) -> None:
        """Every parameter that is trained is in one group, once; a frozen one is in none. Every group has its `lr`."""
        toy = Toy()
        toy.model.tokens.requires_grad_(False)
        groups = self.optimizer(toy).param_groups
        held = [id(parameter) for group in groups for parameter in group["params"]]
        for name, parameter in toy.named_parameters():
            count, wanted = held.count(id(parameter)), int(parameter.requires_grad)
            state = "trained" if wanted else "frozen"
            require(count == wanted, f"groups hold the trained parameters: {name} is {state}, and in {count} groups")
        require(all("lr" in group for group in groups), "groups hold the trained parameters: a group has no lr, which the schedule sets")

    def test_matrices_alone_decay(self) -> None:
        """`weight_decay` is that of matrices; norms and biases have 0. A decayed matrix without gradient of its loss shrinks."""
        if not self.has("weight_decay"):
            raise Inapplicable("the optimizer has no option weight_decay")
        toy = Toy()
        optimizer = self.optimizer(toy, weight_decay=0.25)
        decay = {id(parameter): group.get("weight_decay") for group in optimizer.param_groups for parameter in group["params"]}
        for name, parameter in toy.named_parameters():
            wanted = 0.25 if parameter.ndim >= 2 else 0.0
            require(
                decay[id(parameter)] == wanted, f"matrices alone decay: weight_decay of {name} is {decay[id(parameter)]}, and not {wanted}"
            )
        before = toy.head.weight.detach().abs().sum().item()
        for parameter in toy.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        after = toy.head.weight.detach().abs().sum().item()
        require(after < before, "matrices alone decay: with weight_decay=0.25 and gradients of 0 a matrix does not shrink")

    def test_follows_the_schedule(self) -> None:
        """The learning rate is that of the group in each step: with 0 nothing moves."""
        toy = Toy()
        optimizer = self.optimizer(toy)
        step(toy, optimizer)
        for group in optimizer.param_groups:
            group["lr"] = 0.0
        before = toy.values()
        step(toy, optimizer)
        moved = [name for name, value in toy.values().items() if not torch.equal(value, before[name])]
        require(not moved, f"follows the schedule: with a learning rate of 0 {', '.join(moved[:3])} moved")

    def test_leaves_parameters_without_gradient(self) -> None:
        """A parameter whose gradient is None stays as it is, without an error; so all parameters may."""
        toy = Toy()
        optimizer, before = self.optimizer(toy), toy.values()
        optimizer.zero_grad()
        optimizer.step()
        toy.head.weight.square().sum().backward()
        optimizer.step()
        moved = [name for name, value in toy.values().items() if name != "head.weight" and not torch.equal(value, before[name])]
        require(not moved, f"leaves parameters without gradient: {', '.join(moved[:3])} moved, and had none")

    def test_stays_finite(self) -> None:
        """Gradients of 0, and very large and very small ones, leave finite parameters."""
        for size in (0.0, 1e-30, 1e15):
            toy = Toy()
            optimizer = self.optimizer(toy)
            for _ in range(3):
                for parameter in toy.parameters():
                    parameter.grad = torch.full_like(parameter, size)
                optimizer.step()
            broken = [name for name, value in toy.values().items() if not value.isfinite().all()]
            require(not broken, f"stays finite: after gradients of {size:g} {', '.join(broken[:3])} has values that are not finite")

    def test_runs_the_closure_once(self) -> None:
        """`step` calls the closure that it is given, once and with gradients, and returns its loss: a step of the trainer is a closure."""
        toy = Toy()
        optimizer, calls, before = self.optimizer(toy), [], toy.values()

        def closure() -> Tensor:
            optimizer.zero_grad()
            calls.append(toy.loss())
            require(calls[-1].requires_grad, "runs the closure once: the closure runs without gradients")
            calls[-1].backward()
            return calls[-1]

        returned = optimizer.step(closure)  # type: ignore[arg-type]
        require(len(calls) == 1, f"runs the closure once: it ran {len(calls)} times")
        require(returned is calls[0], f"runs the closure once: step returned {returned!r} and not the loss")
        moved = any(not torch.equal(value, before[name]) for name, value in toy.values().items())
        require(moved, "runs the closure once: the gradients of the closure moved nothing")

    def test_saves_and_loads(self) -> None:
        """An optimizer that loads a saved state continues bit for bit, with the options of the new one."""
        toy = Toy()
        optimizer = self.optimizer(toy)
        for _ in range(3):
            step(toy, optimizer)
        state = saved_and_loaded(optimizer.state_dict(), "saves and loads")
        other = copy.deepcopy(toy)
        resumed = self.optimizer(other)
        resumed.load_state_dict(state)
        require(equal(resumed.state_dict(), optimizer.state_dict()), "saves and loads: the state differs after it was loaded")
        for _ in range(3):
            step(toy, optimizer)
            step(other, resumed)
        differing = [name for name, value in toy.values().items() if not torch.equal(value, other.values()[name])]
        require(not differing, f"saves and loads: {', '.join(differing[:3])} differs three steps after the state was loaded")

    def test_refuses_wrong_values(self) -> None:
        """A negative learning rate or weight decay is refused with a message."""
        for option in ("lr", "weight_decay"):
            if self.has(option):
                try:
                    self.optimizer(Toy(), **{option: -1.0})
                except (UserError, ValueError):
                    continue
                require(False, f"refuses wrong values: {option}=-1 is taken")


def step(toy: Toy, optimizer: Optimizer) -> None:
    optimizer.zero_grad()
    toy.loss().backward()
    optimizer.step()
