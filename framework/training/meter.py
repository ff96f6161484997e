"""Figures of training between two logs: kept on the device, read only when they are logged."""

import time
from typing import Any

import torch
from torch import Tensor

from framework.data.formats import Batch


class Meter:
    """Mean loss, tokens a second and share of padding since the last reading, over all ranks."""

    def __init__(self, device: torch.device):
        self.device = device
        self._begin()

    def _begin(self) -> None:
        self.window = torch.zeros(2, device=self.device)  # loss and weight of all ranks
        self.tokens = self.padded_tokens = 0  # of this rank
        self.since = time.perf_counter()

    def count(self, batch: Batch) -> None:
        """Tokens of a batch, and the padded_tokens they and their padding take. A ghost does not count."""
        if not batch.get("dummy"):
            self.tokens += batch.get("tokens", 0)
            self.padded_tokens += batch.get("padded_tokens", 0)

    def add(self, window: Tensor) -> None:
        """Loss and weight of a step, over all ranks."""
        self.window += window

    def leave_out(self, seconds: float) -> None:
        """Time that was not spent on training."""
        self.since += seconds

    def read(self, strategy: Any) -> dict[str, float]:
        """The figures; they begin anew. Every rank must ask."""
        counts = torch.tensor([self.tokens, self.padded_tokens], dtype=torch.float32, device=self.device)
        tokens, padded_tokens = strategy.reduce(counts, reduce_op="sum").tolist()
        loss, weight = self.window.tolist()
        figures = {"train/loss": loss / max(weight, 1e-6)}
        if padded_tokens:
            figures |= {"train/tokens_per_second": tokens / (time.perf_counter() - self.since), "train/padding": 1 - tokens / padded_tokens}
        self._begin()
        return figures
