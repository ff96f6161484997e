"""Norms of an optimizer step: of the gradient, of the weights and of their change."""

from collections.abc import Sequence

import pytorch_lightning as pl
import torch
from torch import Tensor

from framework.training.strategies import ShardedStrategy


class StepNorms:
    """Euclidean norms over all trained parameters and all ranks, of one step that is logged.

    Between `before` and `after` it holds a copy of the trained weights, at a time when the activations of the step are gone. The gradient
    is that of the global batch before clipping. The values stay on their device until `take` reads them.
    """

    def __init__(self, trainer: pl.Trainer):
        self.trainer = trainer
        self._parameters: list[Tensor] = []
        self._weights: list[Tensor] = []
        self._norms: dict[str, Tensor] = {}

    def before(self, parameters: Sequence[Tensor]) -> None:
        """The step is about to be made. parameters: with their gradients."""
        self._parameters = [_local(parameter.detach()) for parameter in parameters]
        self._weights = [parameter.clone() for parameter in self._parameters]
        gradients = [_local(parameter.grad.detach()) for parameter in parameters if parameter.grad is not None]
        self._norms = {"train/gradient_norm": self._norm(gradients), "train/weight_norm": self._norm(self._weights)}

    def after(self) -> None:
        """The step has been made, if one was announced by `before`."""
        if self._weights:
            torch._foreach_sub_(self._weights, self._parameters)
            self._norms["train/update_norm"] = self._norm(self._weights)
            self._parameters, self._weights = [], []

    def take(self) -> dict[str, float]:
        """The norms by name, once."""
        norms, self._norms = self._norms, {}
        return dict(zip(norms, torch.stack(list(norms.values())).tolist(), strict=True)) if norms else {}

    def _norm(self, tensors: Sequence[Tensor]) -> Tensor:
        single = [tensor if tensor.dtype == torch.float64 else tensor.float() for tensor in tensors]
        square = (
            torch.stack(torch._foreach_norm(single)).square().sum() if single else torch.zeros((), device=self.trainer.strategy.root_device)
        )
        if isinstance(self.trainer.strategy, ShardedStrategy):
            square = self.trainer.strategy.reduce(square, reduce_op="sum")  # type: ignore[assignment]
        return square.sqrt()


def _local(tensor: Tensor) -> Tensor:
    """This rank's part of a sharded tensor."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor
