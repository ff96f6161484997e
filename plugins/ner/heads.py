"""Tagging heads: from the hidden states of words to sequences of tags.

Shapes: B batch, W words, D width, C tags.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from framework import IGNORED, register

from .chain import Chain
from .schemes import Scheme, Tag, may_follow, parse

FORBIDDEN = -1e4  # large and finite: -inf would give NaN gradients


class TagHead(nn.Module):
    """Scores every tag at every word; the prediction is the likeliest legal sequence.

    Context arguments: dim, tags (their names), scheme.

    variant: its name in the `head_variant` of the task.
    normalized: whether the scores of a word go through log_softmax before sequences are compared.
    """

    variant: ClassVar[str]
    normalized: ClassVar[bool] = False

    allowed: Tensor  # (C + 1, C + 1): transitions from row to column; the last row and column are the begin and end of the text

    def __init__(self, dim: int, tags: Sequence[str], scheme: Scheme):
        super().__init__()
        self.scores = nn.Linear(dim, len(tags))
        outside = [*map(parse, tags), Tag("O", "")]
        allowed = [[may_follow(before, after, scheme) for after in outside] for before in outside]
        self.register_buffer("allowed", torch.tensor(allowed), persistent=False)

    def forward(self, states: Tensor, unaligned: Tensor, added: Tensor | None = None) -> Tensor:
        """states (B, W, D) -> scores (B, W, C), at least float32. Unaligned (B, W) words, which have no subword, are O. added: (B, W, C)
        other scores to add; None = 0."""
        scores = self.scores(states)
        scores = scores if added is None else scores + added
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        outside = torch.full_like(scores[0, 0], FORBIDDEN)
        outside[0].fill_(0.0)
        return torch.where(unaligned[..., None], outside, scores)

    def set_transitions(self, step: Tensor) -> None:
        """Initial scores (C, C) of transitions from one tag to the next, where the head has some to learn."""

    def loss(self, scores: Tensor, tags: Tensor, padding_mask: Tensor) -> Tensor:
        """Loss of tags (B, W), summed over the words of padding_mask (B, W)."""
        raise NotImplementedError

    def marginal_logits(self, scores: Tensor, padding_mask: Tensor) -> Tensor:
        """Logits (B, W, C) whose softmax is the probability of each tag at each word."""
        raise NotImplementedError

    def chain(self, scores: Tensor, padding_mask: Tensor) -> Chain:
        """The linear chain to decode from; illegal transitions are -inf."""
        raise NotImplementedError

    def _chain(self, scores: Tensor, padding_mask: Tensor, step: Tensor, start: Tensor, end: Tensor, forbidden: float) -> Chain:
        steps, starts, ends = self.allowed[:-1, :-1], self.allowed[-1, :-1], self.allowed[:-1, -1]

        def legal(value: Tensor, allowed: Tensor) -> Tensor:
            return value.to(scores).masked_fill(~allowed, forbidden)

        return Chain(scores, legal(step, steps), legal(start, starts), legal(end, ends), padding_mask)


@register("tag_head")
class SoftmaxTagHead(TagHead):
    """Words are independent in training; decoding takes the likeliest legal sequence. Devlin et al. 2019, section 5.3, https://arxiv.org/abs/1810.04805"""

    variant = "softmax"
    normalized = True

    def loss(self, scores: Tensor, tags: Tensor, padding_mask: Tensor) -> Tensor:
        targets = tags.masked_fill(~padding_mask, IGNORED)
        return cross_entropy(scores.flatten(0, 1), targets.flatten(), reduction="sum", ignore_index=IGNORED)

    def marginal_logits(self, scores: Tensor, padding_mask: Tensor) -> Tensor:
        return scores

    def chain(self, scores: Tensor, padding_mask: Tensor) -> Chain:
        zeros = scores.new_zeros(scores.shape[-1], scores.shape[-1])
        return self._chain(scores.log_softmax(dim=-1), padding_mask, zeros, zeros[0], zeros[0], float("-inf"))


@register("tag_head")
class CrfTagHead(TagHead):
    """Conditional random field: a linear chain with learned transitions. Lample et al. 2016, section 2.2, https://arxiv.org/abs/1603.01360

    Illegal transitions have no probability in training either.
    """

    variant = "crf"

    def __init__(self, dim: int, tags: Sequence[str], scheme: Scheme):
        super().__init__(dim, tags, scheme)
        self.step = nn.Parameter(torch.zeros(len(tags), len(tags)))
        self.ends = nn.Parameter(torch.zeros(2, len(tags)))  # transitions from the begin, to the end

    @torch.no_grad()
    def set_transitions(self, step: Tensor) -> None:
        self.step.copy_(step)

    def loss(self, scores: Tensor, tags: Tensor, padding_mask: Tensor) -> Tensor:
        with torch.autocast(scores.device.type, enabled=False):
            chain = self.chain(scores, padding_mask, FORBIDDEN)
            return (chain.log_partition() - chain.score(tags)).sum()

    def marginal_logits(self, scores: Tensor, padding_mask: Tensor) -> Tensor:
        """The marginals of all sequences. Wang et al. 2020 (posterior distillation), https://arxiv.org/abs/2004.03846"""
        with torch.autocast(scores.device.type, enabled=False):
            chain = self.chain(scores, padding_mask, FORBIDDEN)
            return chain.forward() + chain.backward()

    def chain(self, scores: Tensor, padding_mask: Tensor, forbidden: float = float("-inf")) -> Chain:
        return self._chain(scores, padding_mask, self.step, self.ends[0], self.ends[1], forbidden)
