"""Auxiliary losses and figures, recorded from anywhere in a training step.

Records go to module-level variables that the learner sets, so a call from a part is traced by `torch.compile`, no module keeps anything (a
model stays copyable), and nothing is recorded in evaluation, by a frozen model, or by the recomputation of activation checkpointing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from framework.errors import UserError

RESERVED = (  # figures of the learner
    *("loss", "lr", "tokens_per_second", "padding", "gradient_norm", "update_norm", "weight_norm"),
    *("flops_per_second", "mfu", "memory_mib"),
)
LossPair = tuple[Tensor, Tensor]  # summed loss, weight

_losses: list[tuple[str, Tensor, Any]] | None = None
_figure: Callable[[str, Any], None] | None = None


def add_loss(name: str, losses: Tensor, weight: Tensor | float | None = None) -> None:
    """Adds an auxiliary loss to the training loss of this step, from any part or task; it is logged as `train/NAME`.

    losses: summed over its elements; multiply it by the coefficient it is to have. weight: what the sum is divided by, the number of
    targets; None = the number of elements. A step divides the sum over the global batch (micro-batches and ranks) by the weight of the
    global batch, as it does with the task's own loss. Calls with one name in one forward pass add up (the layers of a stack, or one shared
    layer applied several times): their losses are summed, and the weight is that of one call, their mean.

    A callback calls it in `on_train_batch_start`. Elsewhere outside the forward pass of a training step, and where gradients are off, the
    call does nothing. With several processes a name is used from the first step on, or never (a step without targets: weight 0).

    >>> class RouterLoss(torch.nn.Module):
    ...     def forward(self, logits, padding_mask):  # keep the logits small: Zoph et al. 2022, equation 5
    ...         losses = logits.logsumexp(-1).square() * padding_mask  # (B, T)
    ...         add_loss("router_z", 0.001 * losses, weight=padding_mask.sum())
    >>> RouterLoss()(torch.zeros(1, 2, 4), torch.tensor([[True, False]]))  # no training step: nothing happens
    """
    if _losses is not None and torch.is_grad_enabled():
        _losses.append((name, losses, weight))


def log_figure(name: str, value: Tensor | float) -> None:
    """Logs a number as `train/NAME` at the optimizer step under way, from any part, task or callback.

    Calls with one name in one step are averaged, over micro-batches and ranks too. Each step's figure is logged at its own step; trackers
    receive them every `trainer.log_every_n_steps` and at the end. Outside training, and in evaluation, the call does nothing.

    >>> log_figure("expert_load", 0.25)  # no training: nothing happens
    """
    if _figure is not None:
        _figure(name, value)


def expect_losses() -> None:
    """Records auxiliary losses from now on, for the next `recorded_losses`."""
    global _losses
    _losses = []


@contextmanager
def recorded_losses() -> Iterator[dict[str, LossPair]]:
    """Records the auxiliary losses of a forward pass, and takes those expected before it; none are recorded afterwards. The mapping is
    filled at the end, name -> (summed loss, weight)."""
    global _losses
    early, _losses = _losses or [], []
    pairs: dict[str, LossPair] = {}
    try:
        yield pairs
        pairs |= _summed([*early, *_losses])
    finally:
        _losses = None


def stop_recording() -> None:
    """Records nothing from now on."""
    global _losses, _figure
    _losses = _figure = None


def record_figures(receive: Callable[[str, Any], None] | None) -> Callable[[str, Any], None] | None:
    """Sends figures to `receive` from now on; None = nowhere. Returns the former receiver."""
    global _figure
    previous, _figure = _figure, receive
    return previous


@contextmanager
def nothing_recorded() -> Iterator[None]:
    """Ignores losses and figures meanwhile: an evaluation, or a model that is not trained."""
    global _losses, _figure
    previous, _losses, _figure = (_losses, _figure), None, None
    try:
        yield
    finally:
        _losses, _figure = previous


def check_name(call: str, name: str) -> None:
    """UserError: the name is taken by a figure of the learner."""
    if name in RESERVED:
        raise UserError(f"{call}({name!r}): train/{name} is logged for every task; take another name (taken: {', '.join(RESERVED)})")


def _summed(calls: list[tuple[str, Tensor, Any]]) -> dict[str, LossPair]:
    named: dict[str, list[LossPair]] = {}
    for name, losses, weight in calls:
        check_name("add_loss", name)
        dtype = torch.promote_types(losses.dtype, torch.float32)
        weight = torch.as_tensor(losses.numel() if weight is None else weight, device=losses.device).detach().to(dtype)
        named.setdefault(name, []).append((losses.sum(dtype=dtype), weight))
    return {
        name: (torch.stack([loss for loss, _ in pairs]).sum(), torch.stack([weight for _, weight in pairs]).mean())
        for name, pairs in named.items()
    }
