"""What a decoding strategy decides: which hypotheses go on, and with which token.

Shapes: B prompts, R live hypotheses (one or several for each prompt), N tokens written so far, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor


@dataclass(frozen=True)
class Live:
    """The hypotheses that are still being written.

    source: (R,) the prompt each belongs to. ids: (R, N) written so far. scores: (R,) their summed log-probabilities, float64.
    """

    source: Tensor
    ids: Tensor
    scores: Tensor

    def select(self, rows: Tensor) -> "Live":
        return Live(self.source[rows], self.ids[rows], self.scores[rows])


@dataclass(frozen=True)
class Hypothesis:
    """A text that is written: ids without the end token, score with it. ended: it has an end token, and was not cut by its limit."""

    ids: list[int]
    score: float
    ended: bool


# Live hypotheses and the log-probabilities (R, V) of their next tokens -> parents (R'), tokens (R'): the hypotheses of the next
# step, each a token appended to a live one. A live row may be continued several times (num_beams) or not at all; those of a prompt
# stand together, prompts in their order. A token that may not be written has -inf.
Choose = Callable[[Live, Tensor], tuple[Tensor, Tensor]]


class Strategy:
    """Chooses tokens; the engine runs the model, keeps the score and takes hypotheses out that reached the end token or their limit.

    max_new_tokens: write at most this many tokens; null = as many as the model can hold.
    min_new_tokens: do not end before this many tokens.
    no_repeat_ngram_size: never write the same tokens in a row of this many twice; null = may repeat.
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
        """The choice for one batch of prompts, called once a step; what it remembers between steps is its own, not the strategy's.
        limits (B,): how many tokens each prompt may get, the end token counted."""
        raise NotImplementedError

    def rank(self, written: list[Hypothesis]) -> list[Hypothesis]:
        """The hypotheses of one prompt, best first."""
        return sorted(written, key=lambda hypothesis: -hypothesis.score)
