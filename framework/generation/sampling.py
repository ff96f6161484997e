"""A token drawn at random, from the likely ones if so wished."""

from collections import Counter
from collections.abc import Sequence
from random import Random

import torch
from torch import Tensor

from framework.generation.strategy import Choose, Live, Strategy
from framework.registry import register


@register("decoding")
class Sampling(Strategy):
    """Draws tokens at random, with temperature, top-k (Fan et al. 2018, section 5.1) and nucleus (Holtzman et al. 2020, section 3.1).

    https://arxiv.org/abs/1805.04833, https://arxiv.org/abs/1904.09751. The three apply in this order. Every prompt has random
    numbers of its own, made of the seed and its tokens, so that its text does not depend on the batch it stands in.

    max_new_tokens: write at most this many tokens; null = as many as the model can hold.
    min_new_tokens: do not end before this many tokens.
    no_repeat_ngram_size: never write the same tokens in a row of this many twice; null = may repeat.
    temperature: divides the log-probabilities; below 1 the likely tokens gain, above 1 the unlikely ones.
    top_k: draw from this many most probable tokens; null = from all.
    top_p: draw from the fewest tokens that together have at least this probability; 1 = from all.
    seed: another seed, another text.
    """

    rules = {
        **Strategy.rules,
        "temperature > 0": "the temperature divides the log-probabilities; for its limit 0 take decoding/greedy",
        "top_k is None or top_k >= 1": "at least one token must be left to draw from",
        "0 < top_p <= 1": "top_p is a probability, and at least one token must be left to draw from",
    }

    def __init__(
        self,
        max_new_tokens: int | None = None,
        min_new_tokens: int = 0,
        no_repeat_ngram_size: int | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        seed: int = 0,
    ):
        super().__init__(max_new_tokens, min_new_tokens, no_repeat_ngram_size)
        self.temperature, self.top_k, self.top_p, self.seed = temperature, top_k, top_p, seed

    def begin(self, prompts: Sequence[Sequence[int]], end: int | None, limits: Tensor) -> Choose:
        seen: Counter[tuple[int, ...]] = Counter()
        streams = []
        for prompt in map(tuple, prompts):
            streams.append(Random(f"{self.seed} {seen[prompt]} {prompt}"))  # a prompt given twice gets two texts
            seen[prompt] += 1

        def choose(live: Live, log_probabilities: Tensor) -> tuple[Tensor, Tensor]:
            probability, token = self.distribution(log_probabilities)
            chance = torch.tensor([streams[source].random() for source in live.source.tolist()], dtype=torch.float64)
            mass = probability.cumsum(dim=-1)
            below = mass <= chance[:, None].to(mass.device) * mass[:, -1:]  # (R, V): inversion of the distribution function
            drawn = below.sum(dim=-1, keepdim=True).clamp(max=(probability > 0).sum(dim=-1, keepdim=True) - 1)
            return torch.arange(len(token), device=token.device), token.gather(-1, drawn)[:, 0]

        return choose

    def distribution(self, log_probabilities: Tensor) -> tuple[Tensor, Tensor]:
        """What is drawn from: probabilities (R, V) in falling order, 0 for what was cut off, and the tokens they belong to."""
        ordered, token = (log_probabilities.double() / self.temperature).sort(dim=-1, descending=True, stable=True)
        if self.top_k is not None:
            ordered[:, self.top_k :] = float("-inf")
        probability = ordered.softmax(dim=-1)
        if self.top_p < 1:
            before = probability.cumsum(dim=-1) - probability  # the mass of all more probable tokens
            probability = probability.where(before < self.top_p, 0)
            probability = probability / probability.sum(dim=-1, keepdim=True)
        return probability, token
