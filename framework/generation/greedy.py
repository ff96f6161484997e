"""Greedy decoding."""

from collections.abc import Sequence

import torch
from torch import Tensor

from framework.generation.strategy import Choose, RunningHypotheses, Strategy
from framework.registry import register


@register("decoding")
class Greedy(Strategy):
    """Greedy decoding: the most probable token at every step.

    max_new_tokens: maximum number of generated tokens; null = as many as the model can read.
    min_new_tokens: minimum number of tokens before the end token.
    no_repeat_ngram_size: no n-gram of this size is generated twice; null = no limit.
    """

    def begin(self, prompts: Sequence[Sequence[int]], end: int | None, limits: Tensor) -> Choose:
        def choose(running: RunningHypotheses, log_probabilities: Tensor) -> tuple[Tensor, Tensor]:
            return torch.arange(len(log_probabilities), device=log_probabilities.device), log_probabilities.argmax(dim=-1)

        return choose
