"""The most probable token, every time."""

from collections.abc import Sequence

import torch
from torch import Tensor

from framework.generation.strategy import Choose, Live, Strategy
from framework.registry import register


@register("decoding")
class Greedy(Strategy):
    """Writes the most probable token at every step.

    max_new_tokens: write at most this many tokens; null = as many as the model can hold.
    min_new_tokens: do not end before this many tokens.
    no_repeat_ngram_size: never write the same tokens in a row of this many twice; null = may repeat.
    """

    def begin(self, prompts: Sequence[Sequence[int]], end: int | None, limits: Tensor) -> Choose:
        def choose(live: Live, log_probabilities: Tensor) -> tuple[Tensor, Tensor]:
            return torch.arange(len(log_probabilities), device=log_probabilities.device), log_probabilities.argmax(dim=-1)

        return choose
