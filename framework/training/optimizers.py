"""Optimizers by name: torch's own, given the parameter groups of a Transformer. Options keep torch's names.

An owner offers: model (the task: the model and what stands on it).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from framework.errors import UserError
from framework.registry import register
from framework.training.groups import LayerRates, groups, is_stack


def _pair(values: Sequence[Any]) -> tuple[Any, Any]:
    """Configs have lists where torch wants tuples."""
    first, second = values
    return first, second


def fusible(model: nn.Module) -> bool:
    """Whether torch has a fused kernel for these weights: whole ones, on a device that has one."""
    return all(p.device.type in ("cpu", "cuda", "mps", "xpu") and not isinstance(p, DTensor) for p in model.parameters())


@register("optimizer", "adamw")
class AdamW(LayerRates, torch.optim.AdamW):
    """Adam with decoupled weight decay. Loshchilov and Hutter 2019, algorithm 2, https://arxiv.org/abs/1711.05101

    lr: learning rate at the top of the schedule.
    betas: decay of the running mean and of the running square.
    eps: added to the root of the running square.
    weight_decay: decay of matrices; norms and biases never decay.
    amsgrad: use the largest running square so far.
    """

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
        found = groups(model, lr, weight_decay, layer_decay, head_lr_multiplier)
        super().__init__(found, lr, _pair(betas), eps, amsgrad=amsgrad, fused=fusible(model))
        # torch's fused kernels would unscale float16 gradients inside the step, after clipping would have needed them unscaled.
        self._step_supports_amp_scaling = False


@register("optimizer", "adafactor")
class Adafactor(LayerRates, torch.optim.Adafactor):
    """Adam with a factored running square: little memory. Shazeer and Stern 2018, algorithm 4, https://arxiv.org/abs/1804.04235

    lr: learning rate at the top of the schedule (the update is also bounded by the weights' own size).
    beta2_decay: exponent by which the running square forgets.
    eps: two floors, of the square of gradients (null = float's own) and of the size of weights.
    d: updates are clipped to this root mean square.
    weight_decay: decay of matrices; norms and biases never decay.
    """

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
        super().__init__(groups(model, lr, weight_decay, layer_decay, head_lr_multiplier), lr, beta2_decay, _pair(eps), d)


@register("optimizer", "sgd")
class SGD(LayerRates, torch.optim.SGD):
    """Stochastic gradient descent with momentum. Sutskever et al. 2013, section 2, https://proceedings.mlr.press/v28/sutskever13.html

    lr: learning rate at the top of the schedule.
    momentum: share of the last update that is kept.
    dampening: share of the gradient that momentum leaves out.
    nesterov: look ahead along the momentum.
    weight_decay: decay of matrices; norms and biases never decay.
    """

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
        found = groups(model, lr, weight_decay, layer_decay, head_lr_multiplier)
        super().__init__(found, lr, momentum, dampening, nesterov=nesterov, fused=fusible(model))
        self._step_supports_amp_scaling = False


@register("optimizer", "muon")
class Muon(LayerRates, Optimizer):
    """Orthogonalized momentum for the matrices inside the stacks, AdamW for the rest. Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/

    The update of a matrix is scaled to the size of AdamW's, so that both take one learning rate and one weight decay:
    Liu et al. 2025, section 2.2, https://arxiv.org/abs/2502.16982

    lr: learning rate at the top of the schedule.
    weight_decay: decay of matrices; norms and biases never decay.
    momentum: share of the last update that is kept.
    nesterov: look ahead along the momentum.
    ns_steps: Newton-Schulz iterations of an orthogonalization.
    betas, eps: those of AdamW, for the rest.
    """

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
        if not matrices:
            raise UserError("optimizer/muon orthogonalizes the matrices inside the stacks, and here it has none to train: choose adamw")
        chosen = {id(parameter) for parameter in matrices}
        rest = [parameter for parameter in model.parameters() if id(parameter) not in chosen]
        rates = lr, weight_decay, layer_decay, head_lr_multiplier
        options: dict[str, Any] = {"momentum": momentum, "nesterov": nesterov, "ns_steps": ns_steps, "adjust_lr_fn": "match_rms_adamw"}
        self.inner: list[Optimizer] = [torch.optim.Muon(groups(model, *rates, only=matrices), **options)]
        if others := groups(model, *rates, only=rest):
            self.inner.append(torch.optim.AdamW(others, lr, _pair(betas), eps))
        super().__init__([group for optimizer in self.inner for group in optimizer.param_groups], defaults={})
        self._share()

    def _share(self) -> None:
        """The optimizers inside work on this one's state and on its groups, so that whoever saves, restores or schedules
        this one does so for both. (Two optimizers Lightning refuses; a merged view of two would lose its state on resume.)"""
        begin = 0
        for optimizer in self.inner:
            end = begin + len(optimizer.param_groups)
            optimizer.param_groups = self.param_groups[begin:end]
            optimizer.state = self.state
            begin = end

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # load_state_dict comes through here, with a new state and new groups
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
    """The 2-D weights inside the encoder and decoder, tables of embeddings left out."""
    stacks = [module for module in model.modules() if is_stack(module)]
    inside = [module for stack in stacks for module in stack.modules() if not isinstance(module, nn.Embedding)]
    found = {id(p): p for module in inside for p in module.parameters(recurse=False) if p.ndim == 2 and p.requires_grad}
    return list(found.values())
