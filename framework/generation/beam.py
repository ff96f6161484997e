"""Several texts written side by side for each prompt, the most probable of them kept."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from framework.generation.strategy import Choose, Hypothesis, Live, Strategy
from framework.registry import register


@register("decoding")
class Beam(Strategy):
    """Writes several hypotheses side by side and keeps those that are most probable. Sutskever et al. 2014, section 3.2

    https://arxiv.org/abs/1409.3215. A hypothesis that ends leaves its place to the next one. Finished ones compare by
    sum / length^length_penalty, the end token counted, as in `transformers` and fairseq; Wu et al. 2016 (section 7,
    https://arxiv.org/abs/1609.08144) divide by (5 + length)^length_penalty. One beam is greedy: it is done when it has ended.

    max_new_tokens: write at most this many tokens; null = as many as the model can hold.
    min_new_tokens: do not end before this many tokens.
    no_repeat_ngram_size: never write the same tokens in a row of this many twice; null = may repeat.
    num_beams: hypotheses side by side for each prompt.
    length_penalty: 0 compares sums, which favors short texts; 1 means of tokens; more favors long ones.
    num_return_sequences: how many texts to give for each prompt.
    early_stopping: when a prompt is done. exact: nothing that is still written can beat its n best, however long it grows;
        length_so_far: nothing can beat as many finished ones as there are beams if it ended at its present length (the same where
        length_penalty is not above 0, else sooner by far); first: as many have finished as there are beams.
    """

    rules: ClassVar[dict[str, str]] = {
        **Strategy.rules,
        "num_beams >= 1": "num_beams must be at least 1",
        "1 <= num_return_sequences <= num_beams": "num_return_sequences must be between 1 and num_beams",
    }

    def __init__(
        self,
        max_new_tokens: int | None = None,
        min_new_tokens: int = 0,
        no_repeat_ngram_size: int | None = None,
        num_beams: int = 5,
        length_penalty: float = 1.0,
        num_return_sequences: int = 1,
        early_stopping: Literal["exact", "length_so_far", "first"] = "length_so_far",
    ):
        super().__init__(max_new_tokens, min_new_tokens, no_repeat_ngram_size)
        self.num_beams, self.length_penalty, self.num_return_sequences, self.early_stopping = (
            num_beams,
            length_penalty,
            num_return_sequences,
            early_stopping,
        )

    def begin(self, prompts: Sequence[Sequence[int]], end: int | None, limits: Tensor) -> Choose:
        """The kept scores are those of each prompt's best finished hypotheses, in falling order."""
        kept = torch.full((len(prompts), self.num_beams), float("-inf"), dtype=torch.float64, device=limits.device)  # (B, K)

        def choose(live: Live, log_probabilities: Tensor) -> tuple[Tensor, Tensor]:
            length = live.ids.shape[1] + 1  # with the tokens that are chosen now
            sources, parents, tokens, scores = self._candidates(live, log_probabilities)  # (S), then (S, C), best first
            last = (limits[sources] <= length)[:, None]
            first = torch.arange(scores.shape[1], device=scores.device) < self.num_beams  # (C,)
            ended = torch.zeros_like(last) if end is None else tokens == end
            ends = ended & first & scores.isfinite()  # an end that is not among the best comes back later, if it is any good
            going = ~ended & scores.isfinite()
            going &= (going.cumsum(dim=1) <= self.num_beams) & (first | ~last)
            finished = torch.where(ends, self._compared(scores, length), float("-inf"))
            kept[sources] = torch.cat((kept[sources], finished), dim=1).topk(self.num_beams).values
            best = torch.where(going, scores, float("-inf")).amax(dim=1)  # (S,) of those that go on
            chosen = ends | going & (last | ~self._done(kept[sources], best, length, limits[sources])[:, None])
            return parents[chosen], tokens[chosen]

        return choose

    def _candidates(self, live: Live, log_probabilities: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The prompts (S,) that are still written for, and for each the best continuations (S, C) of all its hypotheses:
        parents, tokens and scores; -inf where there are no more. Twice as many as beams: at most half of them end."""
        wanted = 2 * self.num_beams
        value, token = log_probabilities.topk(min(wanted, log_probabilities.shape[1]))  # (R, W)
        sources, group, count = live.source.unique_consecutive(return_inverse=True, return_counts=True)
        start = count.cumsum(dim=0) - count  # (S,) the first row of each prompt: rows of a prompt stand together
        place = torch.arange(len(group), device=group.device) - start[group]
        table = value.new_full((len(sources), int(count.max()), value.shape[1]), float("-inf"), dtype=torch.float64)
        table[group, place] = live.scores[:, None] + value
        scores, found = table.flatten(1).topk(min(wanted, table[0].numel()))  # (S, C)
        parents = (start[:, None] + found // value.shape[1]).clamp(max=len(group) - 1)  # a place nobody has is not chosen
        return sources, parents, token[parents, found % value.shape[1]], scores

    def _compared(self, score: Tensor, length: int | Tensor) -> Tensor:
        """What finished hypotheses compare by."""
        return score / length**self.length_penalty

    def _done(self, kept: Tensor, best: Tensor, length: int, limits: Tensor) -> Tensor:
        """(S,) Whether a prompt needs no more steps. kept (S, K); best (S,) is the score of its best unfinished hypothesis."""
        if self.num_beams == 1 or self.early_stopping == "first":
            return kept[:, -1].isfinite()
        if self.early_stopping == "length_so_far" or self.length_penalty <= 0:
            reach = self._compared(best, length)
        else:
            reach = self._compared(best, limits.clamp(min=length).double())  # a sum only falls; the longer, the less it counts
        return reach <= kept[:, self.num_return_sequences - 1 if self.early_stopping == "exact" else -1]

    def rank(self, written: list[Hypothesis]) -> list[Hypothesis]:
        return sorted(written, key=lambda found: -found.score / (len(found.ids) + found.ended) ** self.length_penalty)[
            : self.num_return_sequences
        ]
