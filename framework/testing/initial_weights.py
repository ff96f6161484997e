"""Contract test: the weights that a part initializes itself are those that it gets."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from framework.registry import Part
from framework.testing.promise import BrokenPromise, Inapplicable
from framework.testing.toy_models import build_toy
from framework.testing.toy_part import ToyPart

DRAWN = (nn.Linear, nn.Embedding, nn.LayerNorm, nn.RMSNorm)  # the weights that the model initializes
MARK = 7.0  # no initial value


@torch.no_grad()
def initialization_is_kept(toy: ToyPart) -> None:
    """A weight that the constructor of a part sets keeps its value, unless `initialize_weights` sets it anew."""
    if toy.slot == "model":
        raise Inapplicable("a model initializes itself")
    recorded = RecordedPart(toy.part.target, **toy.part.values)
    build_toy(Part(toy.node.target, **{**toy.node.values, toy.slot: recorded}))
    for part, constructed in recorded.built:
        final = dict(part.named_parameters())
        lost = {name for name, value in constructed.items() if not value.equal(final[name])}
        if lost and hasattr(part, "initialize_weights"):
            for name in lost:
                final[name].fill_(MARK)
            part.initialize_weights(0.02)
            lost = {name for name in lost if bool((final[name] == MARK).all())}
        if lost:
            raise BrokenPromise(
                f"initialization is kept: {', '.join(sorted(lost))}, which the constructor of {type(part).__name__} sets, "
                "is drawn anew by the model: set it in `def initialize_weights(self, std)`, which is called after that"
            )


class RecordedPart(Part):
    """A part that records what it builds, with the values of the parameters that the constructor itself sets.

    built: modules, each with parameter name -> value.
    """

    def __init__(self, target: "type | str", /, **values: Any):
        super().__init__(target, **values)
        self.built: list[tuple[Any, dict[str, Tensor]]] = []

    def __call__(self, **context: Any) -> Any:
        with _defaults() as defaults:
            built = super().__call__(**context)
        constructed = {}
        for owner, module in built.named_modules():
            for name, parameter in module.named_parameters(recurse=False) if isinstance(module, DRAWN) else ():
                if (module, name) not in defaults or not parameter.equal(defaults[module, name]):
                    constructed[f"{owner}.{name}".lstrip(".")] = parameter.detach().clone()
        self.built.append((built, constructed))
        return built


@contextmanager
def _defaults() -> Iterator[dict[tuple[nn.Module, str], Tensor]]:
    """Yields a dict that gets the values of the parameters of torch's modules as torch initializes them."""
    defaults: dict[tuple[nn.Module, str], Tensor] = {}
    resets: dict[Any, Any] = {cls: cls.reset_parameters for cls in DRAWN}

    def recording(cls: Any) -> Any:
        def reset_parameters(module: nn.Module) -> None:
            resets[cls](module)
            for name, parameter in module.named_parameters(recurse=False):
                defaults[module, name] = parameter.detach().clone()

        return reset_parameters

    with ExitStack() as stack:
        for cls in DRAWN:
            stack.enter_context(patch.object(cls, "reset_parameters", recording(cls)))
        yield defaults
