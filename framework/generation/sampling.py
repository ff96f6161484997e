"""Sampling with temperature, top-k and top-p."""

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import torch
from torch import Tensor

from framework.generation.strategy import Choose, RunningHypotheses, Strategy
from framework.registry import register


@register("decoding")
class Sampling(Strategy):
    """Random sampling with temperature, top-k (Fan et al. 2018, section 5.1) and nucleus (Holtzman et al. 2020, section 3.1).

    https://arxiv.org/abs/1805.04833, https://arxiv.org/abs/1904.09751. The three apply in this order. The random
    numbers of a prompt depend on the seed and its tokens alone, so its text does not depend on the batch.

    temperature: divisor of the log-probabilities; below 1 favors likely tokens, above 1 unlikely ones.
    top_k: sample from this many most probable tokens; null = from all.
    top_p: sample from the fewest tokens with at least this total probability; 1 = from all.
    seed: seed of the random numbers.
    """

    rules = {
        **Strategy.rules,
        "temperature > 0": "temperature must be positive; for its limit 0 take decoding=greedy",
        "top_k is None or top_k >= 1": "top_k must be at least 1",
        "0 < top_p <= 1": "top_p must be in (0, 1]",
        "seed >= 0": "seed must not be negative",
    }

    def __init__(self, temperature: float = 1.0, top_k: int | None = None, top_p: float = 1.0, seed: int = 0, **options: Any):
        super().__init__(**options)
        self.temperature, self.top_k, self.top_p, self.seed = temperature, top_k, top_p, seed

    def begin(self, prompts: Sequence[Sequence[int]], end: int | None, limits: Tensor) -> Choose:
        repeats: Counter[tuple[int, ...]] = Counter()
        streams = []
        for prompt in map(tuple, prompts):
            streams.append(Random(f"{self.seed} {repeats[prompt]} {prompt}"))  # a repeated prompt gets another text
            repeats[prompt] += 1

        def choose(running: RunningHypotheses, log_probabilities: Tensor) -> tuple[Tensor, Tensor]:
            probability, token = self.distribution(log_probabilities)
            chance = torch.tensor([streams[source].random() for source in running.source.tolist()], dtype=torch.float64)
            mass = probability.cumsum(dim=-1)
            below = mass <= chance[:, None].to(mass.device) * mass[:, -1:]  # (R, V): inversion of the distribution function
            drawn = below.sum(dim=-1, keepdim=True).clamp(max=(probability > 0).sum(dim=-1, keepdim=True) - 1)
            return torch.arange(len(token), device=token.device), token.gather(-1, drawn)[:, 0]

        return choose

    def distribution(self, log_probabilities: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities (R, V) in falling order, 0 for tokens removed by top-k and top-p; and the tokens (R, V) in that order."""
        ordered, token = (log_probabilities.double() / self.temperature).sort(dim=-1, descending=True, stable=True)
        if self.top_k is not None:
            ordered[:, self.top_k :] = float("-inf")
        probability = ordered.softmax(dim=-1)
        if self.top_p < 1:
            before = probability.cumsum(dim=-1) - probability  # total of all more probable tokens
            probability = probability.where(before < self.top_p, 0)
            probability = probability / probability.sum(dim=-1, keepdim=True)
        return probability, token
