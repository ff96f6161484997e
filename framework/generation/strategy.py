"""Decoding strategies: which hypotheses continue, and with which token. The base class, and greedy decoding.

Shapes: B prompts, R running hypotheses (one or several for each prompt), N tokens generated so far, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from framework.registry import register


@dataclass(frozen=True)
class RunningHypotheses:
    """Unfinished hypotheses.

    source: (R,) index of the prompt. ids: (R, N) tokens generated so far. scores: (R,) their summed log-probabilities, float64.
    """

    source: Tensor
    ids: Tensor
    scores: Tensor

    def select(self, rows: Tensor) -> "RunningHypotheses":
        return RunningHypotheses(self.source[rows], self.ids[rows], self.scores[rows])


@dataclass(frozen=True)
class Hypothesis:
    """A finished hypothesis: ids without the end token, score with it. ended: by the end token, not by its length limit."""

    ids: list[int]
    score: float
    ended: bool


# Running hypotheses and the log-probabilities (R, V) of their next tokens -> parents (R'), tokens (R'): the hypotheses of the next
# step, each a token appended to a running one. A row may be continued several times (num_beams) or not at all; rows of a prompt
# are adjacent, prompts in their order. A token that may not be generated has -inf.
Choose = Callable[[RunningHypotheses, Tensor], tuple[Tensor, Tensor]]


class Strategy:
    """Chooses tokens. The engine runs the model, sums scores and removes hypotheses that reached the end token or their limit.

    max_new_tokens: maximum number of generated tokens; null = as many as the model can read.
    min_new_tokens: minimum number of tokens before the end token.
    no_repeat_ngram_size: no n-gram of this size is generated twice; null = no limit.

    >>> strategy = Part("decoding/beam", num_beams=4, max_new_tokens=50)()
    >>> isinstance(strategy, Strategy), strategy.max_new_tokens
    (True, 50)
    """

    rules: ClassVar[dict[str, str]] = {
        "max_new_tokens is None or max_new_tokens >= 1": "max_new_tokens must be at least 1",
        "min_new_tokens >= 0": "min_new_tokens must be at least 0",
        "max_new_tokens is None or min_new_tokens <= max_new_tokens": "min_new_tokens must not exceed max_new_tokens",
        "no_repeat_ngram_size is None or no_repeat_ngram_size >= 1": "no_repeat_ngram_size must be at least 1",
    }

    def __init__(self, max_new_tokens: int | None = None, min_new_tokens: int = 0, no_repeat_ngram_size: int | None = None):
        self.max_new_tokens, self.min_new_tokens, self.no_repeat_ngram_size = max_new_tokens, min_new_tokens, no_repeat_ngram_size

    def begin(self, prompts: Sequence[Sequence[int]], end: int | None, limits: Tensor) -> Choose:
        """The choice function of one batch of prompts, called once for each step; state between steps belongs to the function.

        end: the end token. limits: (B,) maximum number of generated tokens of each prompt, end token included.
        """
        raise NotImplementedError

    def rank(self, hypotheses: list[Hypothesis]) -> list[Hypothesis]:
        """The hypotheses of one prompt that are returned, best first."""
        return sorted(hypotheses, key=lambda hypothesis: -hypothesis.score)


@register("decoding")
class Greedy(Strategy):
    """Greedy decoding: the most probable token at every step."""

    def begin(self, prompts: Sequence[Sequence[int]], end: int | None, limits: Tensor) -> Choose:
        def choose(running: RunningHypotheses, log_probabilities: Tensor) -> tuple[Tensor, Tensor]:
            return torch.arange(len(log_probabilities), device=log_probabilities.device), log_probabilities.argmax(dim=-1)

        return choose
