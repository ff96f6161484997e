"""Adapters: few new weights that are trained in place of a model's own.

A model takes one as `model.adapter`. Whoever builds a task attaches it to the model that was built; everything of the model but the
adapter is frozen then, and what the task adds is trained as before.
"""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from framework.registry import register
from framework.utils.patterns import matching

_DOWN, _UP = "lora_down", "lora_up"


class Adapter:
    """Changes a model that is built, and can be computed into its weights again.

    weights: a file that an adapter was exported to, which a new run begins with.
    """

    weights: str | None = None

    def attach(self, model: nn.Module) -> None:
        """Puts itself into the model and freezes the rest. UserError: there is no place for it."""

    def merged(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of a model with this adapter as those of one without, equal in what they compute."""
        return dict(state)


@register("adapter", "none")
class NoAdapter(Adapter):
    """The model itself is trained."""


@register("adapter", "lora")
class LoraAdapter(Adapter):
    """Adds a product of two thin matrices to linear maps: W + alpha / rank * B A. Hu et al. 2021, section 4.1, https://arxiv.org/abs/2106.09685

    rank: features between the two matrices.
    alpha: strength; the product counts alpha / rank, so that the learning rate need not follow the rank.
    dropout: share of what enters the product that is dropped.
    target_modules: the linear maps, as shell patterns over their names in the model (`*.query`, `encoder.layers.[0-3].*`).
    modules_to_save: parameters of the model that are trained as well, as shell patterns over their names (`*norm*`); null = none.
    weights: a file that an adapter was exported to, which a new run begins with; null = the product is 0 at first.
    """

    rules: ClassVar[dict[str, str]] = {
        "rank > 0": "a product of matrices has features between them",
        "alpha > 0": "a product that counts nothing learns nothing",
        "0 <= dropout < 1": "a share is dropped, and not everything",
        "weights is None or pretrained is not None": "an adapter means nothing beside weights that are drawn anew: say which it belongs "
        "to, model.pretrained=...",
    }
    option_traits: ClassVar = {"training_only": ("weights", "dropout"), "pattern": ("target_modules", "modules_to_save")}

    def __init__(
        self,
        rank: int = 8,
        alpha: float = 16.0,
        dropout: float = 0.0,
        target_modules: str | list[str] = ["*.query", "*.value"],  # noqa: B006 - an option's default, never changed
        modules_to_save: str | list[str] | None = None,
        weights: str | None = None,
    ):
        self.rank, self.alpha, self.dropout = rank, alpha, dropout
        self.target_modules, self.modules_to_save, self.weights = target_modules, modules_to_save, weights

    def attach(self, model: nn.Module) -> None:
        # A subclass may compute something else with its weight: only a plain linear map is what the formula says.
        linears = {name: module for name, module in model.named_modules() if type(module) is nn.Linear}
        chosen = matching(self.target_modules, list(linears), "model.adapter.target_modules", "linear map of the model")
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        named = dict(model.named_parameters())
        for name in matching(self.modules_to_save, list(named), "model.adapter.modules_to_save", "parameter of the model"):
            named[name].requires_grad_(True)
        for name in chosen:
            model.set_submodule(name, LoraLinear(linears[name], self.rank, self.alpha, self.dropout))

    def merged(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        merged = {name: value for name, value in state.items() if name.rpartition(".")[2] not in (_DOWN, _UP)}
        for name in state:
            owner, _, last = name.rpartition(".")
            if last == _DOWN:
                merged[f"{owner}.weight"] = merged[f"{owner}.weight"] + _product(state[name], state[f"{owner}.{_UP}"], self.alpha)
        return merged


class LoraLinear(nn.Linear):
    """A linear map (its weight and bias keep their names) and the product of two thin matrices, 0 at first.

    The first matrix is drawn as in https://github.com/microsoft/LoRA, so that its learning rates are of use here.
    """

    def __init__(self, linear: nn.Linear, rank: int, alpha: float, dropout: float):
        nn.Module.__init__(self)
        self.in_features, self.out_features, self.alpha = linear.in_features, linear.out_features, alpha
        self.weight, self.bias = linear.weight, linear.bias
        self.dropout = nn.Dropout(dropout)
        self.lora_down = nn.Parameter(self.weight.new_empty(rank, self.in_features))  # (R, in)
        self.lora_up = nn.Parameter(self.weight.new_zeros(self.out_features, rank))  # (out, R)
        nn.init.kaiming_uniform_(self.lora_down, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        low = functional.linear(self.dropout(x), self.lora_down)  # (..., R)
        return super().forward(x) + self.alpha / len(self.lora_down) * functional.linear(low, self.lora_up)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """One linear map that computes the same."""
        linear = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None, device="meta")
        linear.weight, linear.bias = self.weight, self.bias
        linear.weight.add_(_product(self.lora_down, self.lora_up, self.alpha))
        return linear


def merge(model: nn.Module) -> None:
    """Computes every adapter into the weights it stands beside: in place, and the model is as if it had never had one."""
    for name, module in list(model.named_modules()):
        if isinstance(module, LoraLinear):
            model.set_submodule(name, module.merged())


def _product(down: Tensor, up: Tensor, alpha: float) -> Tensor:
    """(R, in) and (out, R) -> alpha / R * (out, in)."""
    return alpha / len(down) * (up @ down)
