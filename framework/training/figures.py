"""Figures of a run: numbers recorded by `framework.log_figure`, logged at the steps that they belong to."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from framework.errors import UserError
from framework.training.evaluation import gathered
from framework.utils.recording import check_name


class FigureLog:
    """Receives figures, and keeps them with their steps until they are logged; tensors stay on their device until then."""

    def __init__(self, trainer: pl.Trainer):
        self.trainer = trainer
        self._pending: list[tuple[int, int, str, Any]] = []  # step, epoch, name, value

    @torch.compiler.disable
    def __call__(self, name: str, value: Tensor | float) -> None:
        """Keep a figure of the step under way. UserError: it is not one number, or its name is taken."""
        check_name("log_figure", name)
        if isinstance(value, Tensor) and value.numel() != 1:
            raise UserError(f"log_figure({name!r}) takes one number, not a tensor of shape {list(value.shape)}")
        self._pending.append(
            (self._step(), self.trainer.current_epoch, name, value.detach().clone() if isinstance(value, Tensor) else value)
        )

    def _step(self) -> int:
        """The optimizer step under way, or the last one between two steps."""
        progress: Any = self.trainer.fit_loop.epoch_loop.batch_progress.current
        under_way = progress.ready != progress.processed or self.trainer.fit_loop._should_accumulate()
        return self.trainer.global_step + under_way

    def take(self) -> dict[int, dict[str, float]]:
        """Step -> means of the pending figures over their calls on all ranks; nothing on other ranks than zero. A collective call."""
        pending, self._pending = self._pending, []
        tensors = [
            value.double().cpu() if value.device.type == "cpu" else value.float() for *_, value in pending if isinstance(value, Tensor)
        ]
        values = iter(torch.stack([value.reshape(()) for value in tensors]).tolist() if tensors else [])
        own = [(*where, next(values) if isinstance(value, Tensor) else float(value)) for *where, value in pending]
        steps: dict[int, dict[str, list[float]]] = {}
        for rank in gathered(own) or ():
            for step, epoch, name, value in rank:
                steps.setdefault(step, {"epoch": [epoch]}).setdefault(f"train/{name}", []).append(value)
        return {step: {name: sum(found) / len(found) for name, found in named.items()} for step, named in sorted(steps.items())}
