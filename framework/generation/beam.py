"""Beam search."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from framework.generation.strategy import Choose, Hypothesis, RunningHypotheses, Strategy
from framework.registry import register


@register("decoding")
class Beam(Strategy):
    """Beam search. Sutskever et al. 2014, section 3.2, https://arxiv.org/abs/1409.3215

    A hypothesis that ends is replaced by the next best. Finished ones are ranked by sum of log-probabilities / length^length_penalty,
    end token included, as in `transformers` and fairseq; Wu et al. 2016 (section 7, https://arxiv.org/abs/1609.08144) divide by
    (5 + length)^length_penalty. One beam is greedy decoding: a prompt is done with its first end token.

    num_beams: number of beams for each prompt.
    length_penalty: exponent of the length; 0 ranks by the sum, which favors short texts; 1 by the mean per token; more favors long ones.
    num_return_sequences: number of texts returned for each prompt.
    early_stopping: when a prompt is done. exact: no running hypothesis can enter its num_return_sequences best, at any length;
        length_so_far: none would enter its num_beams best if it ended at its present length (the same for length_penalty <= 0,
        else much sooner); first: num_beams hypotheses have finished.
    """

    rules: ClassVar[dict[str, str]] = {
        **Strategy.rules,
        "1 <= num_beams <= 4096": "num_beams must be at least 1, and at most 4,096",
        "-100 <= length_penalty <= 100": "length_penalty must be between -100 and 100",
        "1 <= num_return_sequences <= num_beams": "num_return_sequences must be between 1 and num_beams",
    }

    def __init__(
        self,
        num_beams: int = 5,
        length_penalty: float = 1.0,
        num_return_sequences: int = 1,
        early_stopping: Literal["exact", "length_so_far", "first"] = "length_so_far",
        **options: Any,
    ):
        super().__init__(**options)
        self.num_beams, self.length_penalty = num_beams, length_penalty
        self.num_return_sequences, self.early_stopping = num_return_sequences, early_stopping

    def begin(self, prompts: Sequence[Sequence[int]], end: int | None, limits: Tensor) -> Choose:
        """best_finished (B, K): the scores of each prompt's best finished hypotheses, in falling order."""
        best_finished = torch.full((len(prompts), self.num_beams), float("-inf"), dtype=torch.float64, device=limits.device)  # (B, K)

        def choose(running: RunningHypotheses, log_probabilities: Tensor) -> tuple[Tensor, Tensor]:
            length = running.ids.shape[1] + 1  # with the tokens of this step
            sources, parents, tokens, scores = self._candidates(running, log_probabilities)  # (S), then (S, C), best first
            last = (limits[sources] <= length)[:, None]
            first = torch.arange(scores.shape[1], device=scores.device) < self.num_beams  # (C,)
            ended = torch.zeros_like(last) if end is None else tokens == end
            ends = ended & first & scores.isfinite()  # an end token beyond the first num_beams is ignored
            going = ~ended & scores.isfinite()
            going &= (going.cumsum(dim=1) <= self.num_beams) & (first | ~last)
            new = torch.where(ends, self._ranking_score(scores, length), float("-inf"))
            best_finished[sources] = torch.cat((best_finished[sources], new), dim=1).topk(self.num_beams).values
            best = torch.where(going, scores, float("-inf")).amax(dim=1)  # (S,) of the running hypotheses
            chosen = ends | going & (last | ~self._done(best_finished[sources], best, length, limits[sources])[:, None])
            return parents[chosen], tokens[chosen]

        return choose

    def _candidates(self, running: RunningHypotheses, log_probabilities: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The running prompts (S,), and the best continuations (S, C) of all hypotheses of each: parents, tokens and scores; -inf
        where there are fewer. C is twice num_beams: at most half of them end."""
        wanted = 2 * self.num_beams
        value, token = log_probabilities.topk(min(wanted, log_probabilities.shape[1]))  # (R, W)
        sources, group, count = running.source.unique_consecutive(return_inverse=True, return_counts=True)
        start = count.cumsum(dim=0) - count  # (S,) the first row of each prompt: rows of a prompt are adjacent
        index = torch.arange(len(group), device=group.device) - start[group]
        table = value.new_full((len(sources), int(count.max()), value.shape[1]), float("-inf"), dtype=torch.float64)
        table[group, index] = running.scores[:, None] + value
        scores, flat = table.flatten(1).topk(min(wanted, table[0].numel()))  # (S, C)
        parents = (start[:, None] + flat // value.shape[1]).clamp(max=len(group) - 1)  # an empty entry has -inf and is not chosen
        return sources, parents, token[parents, flat % value.shape[1]], scores

    def _ranking_score(self, score: Any, length: Any) -> Any:
        """The score by which finished hypotheses are ranked."""
        return score / length**self.length_penalty

    def _done(self, finished: Tensor, best: Tensor, length: int, limits: Tensor) -> Tensor:
        """(S,) Whether a prompt is done. finished (S, K): its best finished scores; best (S,): the score of its best running hypothesis."""
        if self.num_beams == 1 or self.early_stopping == "first":
            return finished[:, -1].isfinite()
        if self.early_stopping == "length_so_far" or self.length_penalty <= 0:
            reach = self._ranking_score(best, length)
        else:
            reach = self._ranking_score(best, limits.clamp(min=length).double())  # a sum only falls; a greater length divides it by more
        return reach <= finished[:, self.num_return_sequences - 1 if self.early_stopping == "exact" else -1]

    def rank(self, hypotheses: list[Hypothesis]) -> list[Hypothesis]:
        best_first = sorted(hypotheses, key=lambda one: -self._ranking_score(one.score, len(one.ids) + one.ended))
        return best_first[: self.num_return_sequences]
