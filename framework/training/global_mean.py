"""Losses of micro-batches and ranks, divided by the weights of the global batch.

The gradient of a step is that of the sum over loss names of (summed loss / summed weight), both over the *global* batch: all micro-batches
of an accumulation window, on all ranks. A mean of means would weigh targets in small batches more than those in large ones.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from torch import Tensor, nn

from framework.errors import UserError
from framework.training.host_copy import HostCopy
from framework.training.interruption import SIGNALS, interruption
from framework.training.strategies import ShardedStrategy
from framework.utils.recording import LossPair

MAIN = "loss"  # the loss of the task; all others are auxiliary
_TINY = 1e-6  # lower bound of a weight; a batch without targets has no loss


class GlobalMean:
    """Divides the losses of a step by the weights of its global batch.

    Without accumulation the weights of all ranks are summed before the backward pass. With it they are not known yet: the task's loss is
    divided by a reference, and its gradient scaled at the end of the window; each auxiliary loss has a gradient of its own until then,
    because its weight is another one.
    """

    def __init__(self, trainer: pl.Trainer, parameters: Iterable[nn.Parameter]):
        self.trainer = trainer
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        double = any(parameter.dtype == torch.float64 for parameter in self.parameters)
        self.dtype = torch.float64 if double else torch.float32
        self._window: dict[str, Tensor] = {}  # name -> loss and weight (2,) of this rank, of the micro-batches so far
        self._totals: dict[str, Tensor] = {}  # the same over the global batch
        self._gradients: dict[str, list[Tensor]] = {}  # of the auxiliary losses in the window, for each parameter
        self._names: list[str] = []  # with several ranks: the names on any of them
        self._reference: float | None = None  # close to the weight of the global batch, and a power of two, so that scaling is exact

    @property
    def accumulates(self) -> bool:
        return self.trainer.accumulate_grad_batches > 1

    def __call__(self, losses: Mapping[str, LossPair]) -> Tensor:
        """The loss of a micro-batch, for the backward pass. losses: name -> (summed loss, weight); the task's own one is MAIN."""
        for name, (loss, weight) in losses.items():
            pair = torch.stack((loss.detach().to(self.dtype), weight.detach().to(self.dtype)))
            self._window[name] = self._window[name] + pair if name in self._window else pair
        if self.accumulates:
            return self._referred(losses)
        self._totals = self._reduced()
        return self.trainer.world_size * torch.stack([loss / self._totals[name][1] for name, (loss, _) in losses.items()]).sum()

    def _reduced(self) -> dict[str, Tensor]:
        """Loss and weight by name, summed over ranks; ends the window. A collective call, which also tells all ranks of a signal."""
        window, self._window = self._window, {}
        if self.trainer.world_size > 1:
            self._agree(window)
            device = window[MAIN].device
            pairs = [window.get(name, torch.zeros(2, dtype=self.dtype, device=device)) for name in self._names]
            sums: Tensor = self.trainer.strategy.reduce(torch.cat([*pairs, _signals(device, self.dtype)]), reduce_op="sum")  # type: ignore
            window = dict(zip(self._names, sums[: 2 * len(pairs)].view(-1, 2), strict=True))
            interruption.agreed = HostCopy(sums[2 * len(pairs) :])
        return {name: torch.stack((loss, weight.clamp(min=_TINY))) for name, (loss, weight) in window.items()}

    def _agree(self, names: Iterable[str]) -> None:
        """The names of all ranks, at the first step. UserError: a name that no rank had then."""
        if not self._names:
            ranks: list[list[str]] = [[] for _ in range(self.trainer.world_size)]
            dist.all_gather_object(ranks, list(names))
            self._names = sorted({name for rank in ranks for name in rank}, key=lambda name: (name != MAIN, name))
        if unknown := [name for name in names if name not in self._names]:
            raise UserError(
                f"the loss {unknown[0]!r} first appeared after the first step of {self.trainer.world_size} processes, which must agree: "
                "add it in every step, with weight 0 where it has no targets"
            )

    def _referred(self, losses: Mapping[str, LossPair]) -> Tensor:
        main, weight = losses[MAIN]
        if self._reference is None:
            mean = float(self.trainer.strategy.reduce(weight.detach().clone(), reduce_op="sum")) / self.trainer.world_size
            self._reference = 2.0 ** round(math.log2(max(mean, 1.0)))
        auxiliary = {name: loss for name, (loss, _) in losses.items() if name != MAIN and loss.requires_grad}
        for name, loss in auxiliary.items():
            self._check_separable(name)
            gradients = torch.autograd.grad(loss, self.parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
            sums = self._gradients.setdefault(name, [torch.zeros_like(parameter) for parameter in self.parameters])
            torch._foreach_add_(sums, gradients)
        # times 0: so that their parameters take part in the backward pass, as DistributedDataParallel expects
        return main / self._reference + sum(0 * loss for loss in auxiliary.values())

    def _check_separable(self, name: str) -> None:
        trainer = self.trainer
        if isinstance(trainer.strategy, ShardedStrategy) or trainer.precision == "16-mixed":
            raise UserError(
                f"the auxiliary loss {name!r} cannot be accumulated with trainer.strategy=fsdp or trainer.precision=16-mixed: set "
                "trainer.accumulate_grad_batches=1, or trainer.strategy=ddp with trainer.precision=bf16-mixed"
            )

    def scale_gradients(self, parameters: Sequence[Tensor]) -> dict[str, Tensor]:
        """After the reduction over ranks and before clipping: the gradients of a window become those of its global means.

        Returns name -> loss and weight (2,) of the global batch.
        """
        if not self.accumulates:
            return self._totals
        totals = self._reduced()
        assert self._reference is not None
        # Lightning divides by the length of a full accumulation window, DDP by the number of ranks
        scale = self.trainer.world_size * self.trainer.accumulate_grad_batches * self._reference / totals[MAIN][1]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        torch._foreach_mul_([g.to_local() if hasattr(g, "to_local") else g for g in gradients], scale)
        for name in [name for name in totals if name != MAIN]:  # in the same order on all ranks
            sums = self._gradients.pop(name, None) or [torch.zeros_like(parameter) for parameter in self.parameters]
            for parameter, gradient in zip(self.parameters, sums, strict=True):
                gradient = self.trainer.strategy.reduce(gradient, reduce_op="sum") / totals[name][1]
                parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
        return totals


def _signals(device: torch.device, dtype: torch.dtype) -> Tensor:
    """(SIGNALS,): 1 for the signal that this rank has received."""
    counts = torch.zeros(len(SIGNALS), dtype=dtype, device=device)
    if interruption.received in SIGNALS:
        counts[SIGNALS.index(interruption.received)] = 1
    return counts
