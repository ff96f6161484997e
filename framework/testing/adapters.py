"""Contract tests of adapters, on a toy model of every family in float64; equal means within 1e-9."""

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from framework.parts.adapters import Adapter
from framework.testing.contract import KindPromises, require
from framework.testing.promise import Inapplicable
from framework.testing.toy_models import forward, texts, toy_model
from framework.testing.toy_task import FAMILIES

TOLERANCE = 1e-9


class AdapterPromises(KindPromises):
    """Contract tests of an adapter.

    options: of the toy models (dim, num_heads, ...).
    """

    options: ClassVar[dict[str, Any]] = {}

    def models(self) -> Iterator[tuple[str, nn.Module, Adapter]]:
        """A family, its model with the adapter attached, and the adapter."""
        for family in FAMILIES:
            adapter, model = self.with_values()(), toy_model(family, **self.options)
            adapter.attach(model)
            yield family, model, adapter

    def plain(self, family: str, seed: int = 0) -> nn.Module:
        return toy_model(family, seed, **self.options)

    def test_starts_as_the_identity(self) -> None:
        """A model to which the adapter was attached gives the outputs of the model alone."""
        for family, model, _ in self.models():
            same("starts as the identity", outputs(model), outputs(self.plain(family)), f"{family} with a new adapter")

    def test_keeps_the_weights_of_the_model(self) -> None:
        """Every weight of the model keeps its name and its values: pretrained weights are loaded by name after it was attached."""
        for family, model, _ in self.models():
            state = model.state_dict()
            for name, value in self.plain(family).state_dict().items():
                require(name in state, f"keeps the weights of the model: {name} is gone ({family})")
                require(torch.equal(state[name], value), f"keeps the weights of the model: {name} has other values ({family})")

    def test_trains_its_own_parameters(self) -> None:
        """Few parameters are trained, all others frozen; each of them has a gradient after a few steps, and the outputs change."""
        for family, model, _ in self.models():
            trained = self.trained(model)
            total = sum(value.numel() for value in model.parameters())
            count = sum(value.numel() for value in trained.values())
            require(trained, f"trains its own parameters: nothing is left to train ({family})")
            require(count < total / 2, f"trains its own parameters: {count:,} of {total:,} parameters are trained ({family})")
            before = {name: value.detach().clone() for name, value in model.named_parameters()}
            learn(model)
            still = [name for name, value in trained.items() if torch.equal(value, before[name])]
            require(not still, f"trains its own parameters: {', '.join(still[:3])} never moves ({family})")
            moved = [name for name, value in model.named_parameters() if name not in trained and not torch.equal(value, before[name])]
            require(not moved, f"trains its own parameters: {', '.join(moved[:3])} is frozen, and moves ({family})")

    def test_merges_to_equal_outputs(self) -> None:
        """`merged` gives the weights of a model without adapter, by their names, with the same outputs, and leaves its argument alone."""
        for family, model, adapter in self.models():
            learn(model)
            state = model.state_dict()
            before = {name: value.clone() for name, value in state.items()}
            merged, plain = adapter.merged(state), self.plain(family, seed=1)
            extra, missing = sorted(merged.keys() - plain.state_dict().keys()), sorted(plain.state_dict().keys() - merged.keys())
            require(not extra and not missing, f"merges to equal outputs: unknown names {extra[:3]}, missing {missing[:3]} ({family})")
            changed = [name for name, value in before.items() if not torch.equal(value, state[name])]
            require(not changed, f"merges to equal outputs: {', '.join(changed[:3])} was changed in the state that was given ({family})")
            plain.load_state_dict(merged)
            same("merges to equal outputs", outputs(plain), outputs(model), f"{family} with merged weights")

    def test_saves_and_loads_alone(self) -> None:
        """The trained parameters alone, loaded beside the model's own weights, give the same outputs."""
        for (family, model, _), (_, other, _) in zip(self.models(), self.models(), strict=True):
            self.trained(model)
            learn(model)
            own = {name: value.detach().clone() for name, value in model.named_parameters() if value.requires_grad}
            unexpected = other.load_state_dict(own, strict=False).unexpected_keys
            require(not unexpected, f"saves and loads alone: a new model has no {', '.join(unexpected[:3])} ({family})")
            same("saves and loads alone", outputs(other), outputs(model), f"{family} with the trained parameters loaded")

    def test_says_what_its_file_is(self) -> None:
        """`weights` names the file of an exported adapter to start from, or is null."""
        for family, _, adapter in self.models():
            require(getattr(adapter, "weights", 0) is None, f"says what its file is: weights is not null ({family})")

    def trained(self, model: nn.Module) -> dict[str, nn.Parameter]:
        parameters = dict(model.named_parameters())
        trained = {name: value for name, value in parameters.items() if value.requires_grad}
        if len(trained) == len(parameters) and type(self.with_values()()).attach is Adapter.attach:
            raise Inapplicable("no adapter: all parameters are trained")
        return trained


def learn(model: nn.Module) -> None:
    """A few large steps on a loss of which every part of the model is a part."""
    optimizer = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], lr=0.05)
    model.train()
    for _ in range(3):
        optimizer.zero_grad()
        outputs(model, training=True).square().sum().backward()
        optimizer.step()


def outputs(model: nn.Module, training: bool = False) -> Tensor:
    hidden = forward(model.train(training), torch.stack(texts(7, 7)), torch.stack(texts(6, 6)))
    return hidden.cos() if training else hidden.detach()  # of a normed state the sum of squares has no gradient


def same(promise: str, one: Tensor, other: Tensor, what: str) -> None:
    difference = (one - other).abs().max().item()
    require(difference <= TOLERANCE, f"{promise}: outputs of {what} differ by {difference:.2g}")
