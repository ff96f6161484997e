"""A decoding strategy that samples."""

from random import Random
from typing import ClassVar

import torch

from framework import Strategy, register


@register("decoding")
class SpecimenDecoding(Strategy):
    """Min-p sampling: from the tokens with at least a share of the largest probability. Nguyen et al. 2024,

    https://arxiv.org/abs/2407.01082

    max_new_tokens: maximum number of generated tokens; null = as many as the model can read.
    min_new_tokens: minimum number of tokens before the end token.
    no_repeat_ngram_size: no n-gram of this size is generated twice; null = no limit.
    min_p: least probability of a token, as a share of that of the most probable one; 1 = greedy decoding.
    seed: seed of the random numbers.
    """

    rules: ClassVar[dict[str, str]] = {**Strategy.rules, "0 < min_p <= 1": "min_p must be in (0, 1]"}

    def __init__(
        self,
        max_new_tokens: int | None = None,
        min_new_tokens: int = 0,
        no_repeat_ngram_size: int | None = None,
        min_p: float = 0.1,
        seed: int = 0,
    ):
        super().__init__(max_new_tokens, min_new_tokens, no_repeat_ngram_size)
        self.min_p, self.seed = min_p, seed

    def begin(self, prompts, end, limits):
        """The random numbers of a prompt depend on the seed and its tokens alone, so its text does not depend on the batch."""
        streams = [Random(f"{self.seed} {list(prompt)}") for prompt in prompts]

        def choose(running, log_probabilities):
            """Parents and tokens (R,) of the next hypotheses, from the log-probabilities (R, V) of the running ones."""
            probability = log_probabilities.double().exp()
            kept = probability.where(probability >= self.min_p * probability.amax(-1, keepdim=True), 0.0)
            chance = torch.tensor([streams[source].random() for source in running.source.tolist()], dtype=torch.float64)
            mass = kept.cumsum(-1)
            token = (mass <= chance.to(mass.device)[:, None] * mass[:, -1:]).sum(-1)
            return torch.arange(len(token), device=token.device), token

        return choose
