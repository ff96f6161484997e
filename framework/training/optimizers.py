"""Optimizers of torch with the parameter groups of a Transformer. Options have torch's names.

Context arguments: model (the task, with the model and its head).
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import nn
from torch.optim import Optimizer

from framework.errors import UserError
from framework.registry import register
from framework.training.groups import LayerRates, is_sharded, is_stack, parameter_groups
from framework.training.orthogonalization import BatchedMuon

ADAM_RULES = {
    "len(betas) == 2 and all(0 <= beta < 1 for beta in betas)": "betas must be two numbers in [0, 1)",
    "0 < eps < 1": "eps must be in (0, 1): at 0 a weight without a gradient becomes NaN",
}


def _pair(values: Sequence[Any]) -> tuple[Any, Any]:
    """A list of a config as the tuple that torch expects."""
    first, second = values
    return first, second


def fusible(model: nn.Module) -> bool:
    """Whether torch has a fused kernel for the parameters: no sharded ones, on a device with such kernels."""
    return all(p.device.type in ("cpu", "cuda", "mps", "xpu") and not is_sharded(p) for p in model.parameters())


@register("optimizer", "adamw")
class AdamW(LayerRates, torch.optim.AdamW):
    """Adam with decoupled weight decay. Loshchilov and Hutter 2019, algorithm 2, https://arxiv.org/abs/1711.05101

    betas: decay of the running averages of the gradient and of its square.
    eps: added to the denominator.
    amsgrad: use the maximum of the running averages of the square.
    """

    option_traits: ClassVar = {"ruled": ("lr", "betas", "eps", "weight_decay", "amsgrad", "layer_decay", "head_lr_multiplier")}
    rules: ClassVar[dict[str, str]] = {**LayerRates.rules, **ADAM_RULES}

    def __init__(
        self,
        model: nn.Module,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        amsgrad: bool = False,
        layer_decay: float = 1.0,
        head_lr_multiplier: float = 1.0,
    ):
        grouped = parameter_groups(model, lr, weight_decay, layer_decay, head_lr_multiplier)
        super().__init__(grouped, lr, _pair(betas), eps, amsgrad=amsgrad, fused=fusible(model))
        # torch's fused kernels unscale float16 gradients inside the step, but clipping before it needs them unscaled
        self._step_supports_amp_scaling = False


@register("optimizer", "adafactor")
class Adafactor(LayerRates, torch.optim.Adafactor):
    """Adafactor: Adam with a factored second moment, to save memory. Shazeer and Stern 2018, algorithm 4, https://arxiv.org/abs/1804.04235

    lr: peak learning rate of the schedule (updates are also relative to the size of the parameters).
    beta2_decay: exponent of the decay rate of the second moment.
    eps: lower bounds of the squared gradient (null = that of the dtype) and of the size of parameters.
    d: clips the root mean square of updates.
    """

    option_traits: ClassVar = {"ruled": ("lr", "beta2_decay", "eps", "d", "weight_decay", "layer_decay", "head_lr_multiplier")}
    rules: ClassVar[dict[str, str]] = {
        **LayerRates.rules,
        "beta2_decay < 0": "beta2_decay must be negative, an exponent of the step",
        "eps is not None and len(eps) == 2 and eps[1] is not None and all(0 <= value < 1 for value in each(eps))": (
            "eps must be two numbers in [0, 1), the first of which may be null"
        ),
        "d >= 1": "d must be at least 1",
    }
    state_tensors = 1

    def __init__(
        self,
        model: nn.Module,
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        layer_decay: float = 1.0,
        head_lr_multiplier: float = 1.0,
    ):
        super().__init__(parameter_groups(model, lr, weight_decay, layer_decay, head_lr_multiplier), lr, beta2_decay, _pair(eps), d)


@register("optimizer", "sgd")
class SGD(LayerRates, torch.optim.SGD):
    """Stochastic gradient descent with momentum. Sutskever et al. 2013, section 2, https://proceedings.mlr.press/v28/sutskever13.html

    momentum: momentum factor.
    dampening: dampening of the momentum.
    nesterov: Nesterov momentum.
    """

    option_traits: ClassVar = {"ruled": ("lr", "momentum", "dampening", "nesterov", "weight_decay", "layer_decay", "head_lr_multiplier")}
    rules: ClassVar[dict[str, str]] = {
        **LayerRates.rules,
        "0 <= momentum < 1 and 0 <= dampening < 1": "momentum and dampening must be in [0, 1)",
        "not nesterov or momentum > 0 and dampening == 0": "nesterov needs a positive momentum, and no dampening",
    }
    state_tensors = 1

    def __init__(
        self,
        model: nn.Module,
        lr: float = 0.1,
        momentum: float = 0.9,
        dampening: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        layer_decay: float = 1.0,
        head_lr_multiplier: float = 1.0,
    ):
        grouped = parameter_groups(model, lr, weight_decay, layer_decay, head_lr_multiplier)
        super().__init__(grouped, lr, momentum, dampening, nesterov=nesterov, fused=fusible(model))
        self._step_supports_amp_scaling = False


@register("optimizer", "muon")
class Muon(LayerRates, Optimizer):
    """Muon: orthogonalized momentum for the matrices of the layers, AdamW for all other parameters. Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/

    The update of a matrix is scaled to the size of AdamW's, so that both have the same learning rate and weight decay:
    Liu et al. 2025, section 2.2, https://arxiv.org/abs/2502.16982

    momentum: momentum factor.
    nesterov: Nesterov momentum.
    ns_steps: number of Newton-Schulz iterations.
    betas, eps: of AdamW for the other parameters.
    """

    option_traits: ClassVar = {
        "ruled": ("lr", "weight_decay", "momentum", "nesterov", "ns_steps", "betas", "eps", "layer_decay", "head_lr_multiplier")
    }
    rules: ClassVar[dict[str, str]] = {
        **LayerRates.rules,
        **ADAM_RULES,
        "0 < ns_steps < 100": "ns_steps must be at least 1 and below 100",
        "0 <= momentum < 1": "momentum must be in [0, 1)",
    }

    def __init__(
        self,
        model: nn.Module,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-8,
        layer_decay: float = 1.0,
        head_lr_multiplier: float = 1.0,
    ):
        matrices = stack_matrices(model)
        chosen = {id(parameter) for parameter in matrices}
        rest = [parameter for parameter in model.parameters() if id(parameter) not in chosen]
        rates = lr, weight_decay, layer_decay, head_lr_multiplier
        options: dict[str, Any] = {"momentum": momentum, "nesterov": nesterov, "ns_steps": ns_steps, "adjust_lr_fn": "match_rms_adamw"}
        self.inner: list[Optimizer] = [BatchedMuon(parameter_groups(model, *rates, only=matrices), **options)]
        if others := parameter_groups(model, *rates, only=rest):
            self.inner.append(torch.optim.AdamW(others, lr, _pair(betas), eps, fused=fusible(model)))
        super().__init__([group for optimizer in self.inner for group in optimizer.param_groups], defaults={})
        self._step_supports_amp_scaling = False
        self._share()

    @classmethod
    def check(cls, model: nn.Module, layer_decay: float, head_lr_multiplier: float, **_: Any) -> None:
        stack_matrices(model)
        super().check(model, layer_decay, head_lr_multiplier)

    def _share(self) -> None:
        """Share the state and the groups of this optimizer with the inner ones, so that saving, loading and scheduling applies to both.
        (Lightning supports no manual pair of optimizers, and a merged view of two would lose its state on resume.)"""
        begin = 0
        for optimizer in self.inner:
            end = begin + len(optimizer.param_groups)
            optimizer.param_groups = self.param_groups[begin:end]
            optimizer.state = self.state
            begin = end

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # called by load_state_dict, with new state and groups
        self._share()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for optimizer in self.inner:
            optimizer.step()
        return loss


def stack_matrices(model: nn.Module) -> list[nn.Parameter]:
    """The 2-D weights of the encoder and decoder, without embeddings. UserError: there is none that is trained."""
    stacks = [module for module in model.modules() if is_stack(module)]
    inside = [module for stack in stacks for module in stack.modules() if not isinstance(module, nn.Embedding)]
    matrices = {id(p): p for module in inside for p in module.parameters(recurse=False) if p.ndim == 2 and p.requires_grad}
    if not matrices:
        raise UserError("optimizer=muon needs a trainable matrix in a layer, and this model has none: choose optimizer=adamw")
    return list(matrices.values())
