"""An adapter of scales."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from framework import Adapter, register

ENDING = "specimen_scale"


class ScaledLinear(nn.Linear):
    """A linear map whose outputs are scaled by learned factors, 1 at first. Weight and bias keep their names and values."""

    def __init__(self, linear: nn.Linear):
        nn.Module.__init__(self)
        self.in_features, self.out_features, self.weight, self.bias = linear.in_features, linear.out_features, linear.weight, linear.bias
        self.specimen_scale = nn.Parameter(torch.ones_like(self.weight[:, 0]))

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        return super().forward(x) * self.specimen_scale


@register("adapter")
class SpecimenAdapter(Adapter):
    """Learned factors of keys, values and hidden features ((IA)^3). Liu et al. 2022, section 3.3,

    https://arxiv.org/abs/2205.05638

    target_modules: endings of the names of the linear maps.
    weights: file of an exported adapter (to=adapter) that a new run starts from; null = factors of 1.
    """

    option_traits: ClassVar = {"training_only": ("weights",)}

    def __init__(self, target_modules: list[str] = ["key", "value", "input"], weights: str | None = None):  # noqa: B006 - never changed
        self.target_modules, self.weights = tuple(target_modules), weights

    def attach(self, model: nn.Module) -> None:
        model.requires_grad_(False)
        linears = {name: module for name, module in model.named_modules() if type(module) is nn.Linear}
        for name in (name for name in linears if name.rpartition(".")[2] in self.target_modules):
            model.set_submodule(name, ScaledLinear(linears[name]))

    def merged(self, state):
        """The weights of a model without adapter: its names, its outputs."""
        merged = {name: value for name, value in state.items() if not name.endswith(ENDING)}
        for name, scale in ((name.removesuffix(ENDING), state[name]) for name in state if name.endswith(ENDING)):
            merged[f"{name}weight"] = merged[f"{name}weight"] * scale[:, None]
            if f"{name}bias" in merged:
                merged[f"{name}bias"] = merged[f"{name}bias"] * scale
        return merged
