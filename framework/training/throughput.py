"""Training metrics between two logs, accumulated on the device and read only when they are logged."""

import time
from typing import Any

import torch

from framework.data.formats import Batch


class ThroughputMonitor:
    """Mean loss, tokens per second and share of padding since the last `compute`, over all ranks.

    loss_and_weight: of the steps since then, summed over all ranks. start: when it was, later by the time that was not spent on training.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self._reset()

    def _reset(self) -> None:
        self.loss_and_weight = torch.zeros(2, device=self.device)
        self.tokens = self.padded_tokens = 0  # of this rank
        self.start = time.perf_counter()

    def count_tokens(self, batch: Batch) -> None:
        """Add the tokens of a batch, without and with padding, unless it is a dummy."""
        if not batch.get("dummy"):
            self.tokens += batch.get("tokens", 0)
            self.padded_tokens += batch.get("padded_tokens", 0)

    def compute(self, strategy: Any) -> dict[str, float]:
        """The metrics; resets the monitor. A collective call: all ranks must make it."""
        counts = torch.tensor([self.tokens, self.padded_tokens], dtype=torch.float32, device=self.device)
        tokens, padded_tokens = strategy.reduce(counts, reduce_op="sum").tolist()
        loss, weight = self.loss_and_weight.tolist()
        metrics = {"train/loss": loss / max(weight, 1e-6)}
        if padded_tokens:
            metrics["train/tokens_per_second"] = tokens / (time.perf_counter() - self.start)
            metrics["train/padding"] = 1 - tokens / padded_tokens
        self._reset()
        return metrics
