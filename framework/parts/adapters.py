"""Adapters: a few new weights that are trained while those of the model are frozen (`model.adapter`).

An adapter is attached to a built model. The head of the task is trained as without an adapter.
"""

import math
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from framework.parts.dropout import Dropout
from framework.registry import register
from framework.utils.patterns import matching

_DOWN, _UP = "lora_down", "lora_up"


class Adapter:
    """Base class of adapters.

    weights: file of an exported adapter (to=adapter) that a new run starts from.

    >>> model = build_model(compose(["task=classification"]))
    >>> adapter = Part("adapter/lora", rank=4, target_modules="*.query")()
    >>> adapter.attach(model)
    >>> {name.rpartition(".")[2] for name, parameter in model.named_parameters() if parameter.requires_grad} == {"lora_down", "lora_up"}
    True
    """

    weights: str | None = None

    def attach(self, model: nn.Module) -> None:
        """Add the adapter to the model and freeze the other parameters. UserError: a pattern matches nothing."""

    def merged(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of the model with the adapter merged into them: the names and outputs of a model without an adapter."""
        return dict(state)


@register("adapter", "none")
class NoAdapter(Adapter):
    """No adapter: all parameters are trained."""


@register("adapter", "lora")
class LoraAdapter(Adapter):
    """Low-rank adaptation of linear maps: W + alpha / rank * B A. Hu et al. 2021, section 4.1, https://arxiv.org/abs/2106.09685

    rank: rank of the product B A.
    alpha: the product is scaled by alpha / rank, so that the learning rate need not follow the rank.
    dropout: dropout of the input of the product.
    target_modules: the linear maps, as shell patterns over their names in the model (`*.query`, `encoder.layers.[0-3].*`).
    modules_to_save: parameters of the model that are trained as well, as shell patterns over their names (`*norm*`); null = none.
    weights: file of an exported adapter (to=adapter) that a new run starts from; null = B is 0.
    """

    rules: ClassVar[dict[str, str]] = {
        "rank > 0": "rank must be positive",
        "rank <= dim": "rank must not exceed model.dim, which bounds the rank of the matrices that it adapts",
        "alpha > 0": "alpha must be positive",
        "0 <= dropout < 1": "dropout must be in [0, 1)",
        "weights is None or pretrained is not None": "model.adapter.weights needs model.pretrained: an adapter fits only the weights it "
        "was trained with",
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
        # Not isinstance: a subclass may use its weight in another way than the formula.
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
                down, up = state[name], state[f"{owner}.{_UP}"]  # (R, in), (out, R)
                merged[f"{owner}.weight"] = merged[f"{owner}.weight"] + self.alpha / len(down) * (up @ down)
        return merged


class LoraLinear(nn.Linear):
    """A linear map with a low-rank update. Weight and bias keep their names and values.

    Initialized as in https://github.com/microsoft/LoRA, so that its learning rates apply.
    """

    def __init__(self, linear: nn.Linear, rank: int, alpha: float, dropout: float):
        nn.Module.__init__(self)
        self.in_features, self.out_features, self.alpha = linear.in_features, linear.out_features, alpha
        self.weight, self.bias = linear.weight, linear.bias
        self.dropout = Dropout(dropout)
        self.lora_down = nn.Parameter(self.weight.new_empty(rank, self.in_features))  # (R, in)
        self.lora_up = nn.Parameter(self.weight.new_zeros(self.out_features, rank))  # (out, R)
        nn.init.kaiming_uniform_(self.lora_down, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        low = functional.linear(self.dropout(x), self.lora_down)  # (..., R)
        return super().forward(x) + self.alpha / len(self.lora_down) * functional.linear(low, self.lora_up)
