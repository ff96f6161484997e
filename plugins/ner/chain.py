"""Linear chains: scores of tags at every word and of transitions between tags. Lafferty et al. 2001, section 3,
https://repository.upenn.edu/handle/20.500.14332/6188

Shapes: B batch, W words, C tags. Padding is on the right.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor


@dataclass(frozen=True)
class Chain:
    """scores (B, W, C) of words and tags; step (C, C) from one tag to the next; start, end (C,); padding_mask (B, W): True = a word.

    Scores are summed; -inf forbids. Gradients are finite where every word has an allowed path.
    """

    scores: Tensor
    step: Tensor
    start: Tensor
    end: Tensor
    padding_mask: Tensor

    def tempered(self, temperature: float) -> "Chain":
        """The chain of scores divided by a temperature: of a higher one sequences are more alike in probability."""
        scores, step, start, end = (value / temperature for value in (self.scores, self.step, self.start, self.end))
        return Chain(scores, step, start, end, self.padding_mask)

    def forward(self) -> Tensor:
        """(B, W, C): log of the sum over all prefixes that end in a tag at a word; constant after the last word."""
        alpha = self.start + self.scores[:, 0]  # (B, C)
        every = [alpha]
        for word in range(1, self.scores.shape[1]):
            after = torch.logsumexp(alpha[:, :, None] + self.step, dim=1) + self.scores[:, word]  # (B, C)
            alpha = torch.where(self.padding_mask[:, word, None], after, alpha)
            every.append(alpha)
        return torch.stack(every, dim=1)

    def backward(self) -> Tensor:
        """(B, W, C): log of the sum over all suffixes that follow a tag at a word."""
        beta = self.end.expand_as(self.scores[:, 0])  # (B, C)
        every = [beta]
        for word in range(self.scores.shape[1] - 1, 0, -1):
            before = torch.logsumexp(self.step + (self.scores[:, word] + beta)[:, None, :], dim=2)  # (B, C)
            beta = torch.where(self.padding_mask[:, word, None], before, self.end)
            every.append(beta)
        return torch.stack(every[::-1], dim=1)

    def log_partition(self) -> Tensor:
        """(B,): log of the sum over all sequences."""
        return torch.logsumexp(self.forward()[:, -1] + self.end, dim=1)

    def score(self, tags: Tensor) -> Tensor:
        """(B,): scores of the sequences `tags` (B, W)."""
        words = self.scores.gather(2, tags[..., None])[..., 0]  # (B, W)
        steps = self.step[tags[:, :-1], tags[:, 1:]]  # (B, W - 1)
        last = tags.gather(1, self.padding_mask.sum(dim=1, keepdim=True) - 1)[:, 0]
        inside = (words * self.padding_mask).sum(dim=1) + (steps * self.padding_mask[:, 1:]).sum(dim=1)
        return self.start[tags[:, 0]] + inside + self.end[last]

    def best(self) -> list[list[int]]:
        """The sequence of the highest score, for each row. Viterbi 1967."""
        delta = self.start + self.scores[:, 0]  # (B, C)
        pointers = []
        for word in range(1, self.scores.shape[1]):
            score, before = (delta[:, :, None] + self.step).max(dim=1)  # (B, C)
            delta = torch.where(self.padding_mask[:, word, None], score + self.scores[:, word], delta)
            pointers.append(before)
        lasts = (delta + self.end).argmax(dim=1).tolist()
        table = torch.stack(pointers, dim=1).tolist() if pointers else [[] for _ in lasts]
        paths = []
        for back, tag, length in zip(table, lasts, self.padding_mask.sum(dim=1).tolist(), strict=True):
            path = [tag]
            for word in range(length - 2, -1, -1):
                path.append(back[word][path[-1]])
            paths.append(path[::-1])
        return paths


class Posterior:
    """Marginal probabilities of parts of sequences."""

    def __init__(self, chain: Chain):
        scores, step, start, end = (value.double().cpu() for value in (chain.scores, chain.step, chain.start, chain.end))
        self.chain = Chain(scores, step, start, end, chain.padding_mask.cpu())
        self.alpha, self.beta = self.chain.forward(), self.chain.backward()
        self.total = torch.logsumexp(self.alpha[:, -1] + self.chain.end, dim=1)
        self.lengths = self.chain.padding_mask.sum(dim=1).tolist()

    def probability(self, row: int, start: int, path: Sequence[int], next_tags: Tensor) -> float:
        """Probability that a row has the tags `path` from a word on, followed by one of next_tags (C,), or by the end."""
        chain, end, last = self.chain, start + len(path), path[-1]
        log = self.alpha[row, start, path[0]] - self.total[row]
        for word, (before, tag) in enumerate(pairwise(path), start + 1):
            log = log + chain.step[before, tag] + chain.scores[row, word, tag]
        if end == self.lengths[row]:
            log = log + chain.end[last]
        else:
            after = chain.step[last] + chain.scores[row, end] + self.beta[row, end]  # (C,)
            log = log + torch.logsumexp(after.masked_fill(~next_tags, float("-inf")), dim=0)
        return min(1.0, float(log.exp()))
