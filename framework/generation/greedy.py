"""Greedy decoding."""

from collections.abc import Sequence

import torch
from torch import Tensor

from framework.generation.strategy import Choose, RunningHypotheses, Strategy
from framework.registry import register


@register("decoding")
class Greedy(Strategy):
    """Greedy decoding: the most probable token at every step."""

    def begin(self, prompts: Sequence[Sequence[int]], end: int | None, limits: Tensor) -> Choose:
        def choose(running: RunningHypotheses, log_probabilities: Tensor) -> tuple[Tensor, Tensor]:
            return torch.arange(len(log_probabilities), device=log_probabilities.device), log_probabilities.argmax(dim=-1)

        return choose
