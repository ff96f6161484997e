"""Figures that are a sum over a sum: right on any number of batches and ranks, as averages of averages are not."""

import math

import torch
from torch import Tensor
from torchmetrics import Metric


class Ratio(Metric):
    """Sum of what was counted, over the sum of what it was counted on; 0 / 0 is not a number."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, total: float, count: float) -> None:
        self.total += total
        self.count += count

    def compute(self) -> Tensor:
        return self.total / self.count


class Perplexity(Ratio):
    """exp(nats per token); update(nats, tokens)."""

    def compute(self) -> Tensor:
        return super().compute().exp()


class BitsPerByte(Ratio):
    """Bits per byte of text, comparable between tokenizers; update(nats, bytes)."""

    def compute(self) -> Tensor:
        return super().compute() / math.log(2)
