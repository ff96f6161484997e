"""Training metrics between two logs, accumulated on the device and read only when they are logged."""

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from framework.data.formats import Batch


class ThroughputMonitor:
    """Mean losses, tokens per second, share of padding and computing since the last `compute`, over all ranks.

    start: when it was, later by the time that was not spent on training. flops: of a token in training; None = not known. peak: most
    FLOP/s of all devices; None = not known.
    """

    flops: float | None = None
    peak: float | None = None

    def __init__(self, device: torch.device):
        self.device = device
        self.total = 0  # tokens of all ranks until the last `compute`
        self._reset()

    def _reset(self) -> None:
        self.losses: dict[str, Tensor] = {}  # name -> loss and weight (2,) of all ranks
        self.tokens = self.padded_tokens = 0  # of this rank
        self.start = time.perf_counter()

    def count_tokens(self, batch: Batch) -> None:
        """Add the tokens of a batch, without and with padding; a dummy has none."""
        self.tokens += batch["@rows"].tokens
        self.padded_tokens += batch["@rows"].padded_tokens

    def add_losses(self, losses: Mapping[str, Tensor]) -> None:
        """Add loss and weight (2,) of a step by name, summed over all ranks."""
        for name, pair in losses.items():
            self.losses[name] = self.losses[name] + pair if name in self.losses else pair

    def compute(self, strategy: Any) -> dict[str, float]:
        """The metrics; resets the monitor. A collective call: all ranks must make it."""
        tokens, padded_tokens = self._tokens(strategy)
        pairs = torch.stack(list(self.losses.values())).tolist()
        metrics = {f"train/{name}": loss / weight for name, (loss, weight) in zip(self.losses, pairs, strict=True)}
        if padded_tokens:
            rate = metrics["train/tokens_per_second"] = tokens / (time.perf_counter() - self.start)
            metrics["train/padding"] = 1 - tokens / padded_tokens
            if self.flops is not None:
                metrics["train/flops_per_second"] = rate * self.flops
                metrics |= {} if self.peak is None else {"train/mfu": rate * self.flops / self.peak}
        self.total += tokens
        self._reset()
        return metrics

    def all_tokens(self, strategy: Any) -> int:
        """The tokens that the run has trained on, without padding. A collective call: all ranks must make it."""
        return self.total + self._tokens(strategy)[0]

    def state_dict(self, strategy: Any) -> dict[str, Any]:
        """Sums since the last `compute`, and the tokens before it. A collective call: all ranks must make it."""
        tokens, padded_tokens = self._tokens(strategy)
        seconds = time.perf_counter() - self.start
        return {"losses": dict(self.losses), "tokens": tokens, "padded_tokens": padded_tokens, "seconds": seconds, "total": self.total}

    def load_state_dict(self, state: Mapping[str, Any], counts: bool) -> None:
        """Goes on with what had been counted. counts: whether this rank is the one that has the tokens of all ranks."""
        self.losses = {name: pair.to(self.device) for name, pair in state["losses"].items()}
        self.tokens, self.padded_tokens = (state["tokens"], state["padded_tokens"]) if counts else (0, 0)
        self.start = time.perf_counter() - state["seconds"]
        self.total = state["total"]

    def _tokens(self, strategy: Any) -> tuple[int, int]:
        """Tokens without and with padding, of all ranks."""
        counts = torch.tensor([self.tokens, self.padded_tokens], dtype=torch.float64 if self.device.type == "cpu" else torch.float32)
        tokens, padded_tokens = strategy.reduce(counts.to(self.device), reduce_op="sum").tolist()
        return int(tokens), int(padded_tokens)
