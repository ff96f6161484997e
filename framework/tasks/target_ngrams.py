"""Probabilities of n-grams of target tokens, from their counts in the training rows.

Shapes: B rows, T tokens, N targets, K lengths of a context, E n-grams, V vocabulary.
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

DISCOUNT = 0.75  # of every count: Ney et al. 1994
ABSENT = torch.iinfo(torch.int64).max  # greater than the key of any context
WEIGHT = 0.5  # of their log-probabilities before training


class TargetNgrams(nn.Module):
    """An n-gram model of target tokens, whose log-probabilities are added to the logits.

    Counts are interpolated by absolute discounting: Ney et al. 1994, section 3, https://doi.org/10.1006/csla.1994.1001. In training a token
    is left out of the counts that predict it, or the model would trust n-grams that no other text has. The tokens that follow a context are
    kept, not a table of all n-grams: a vocabulary of thousands costs no look-up an entry.

    longest: tokens of the longest n-grams. entries: E, n-grams of two tokens and more that are kept, the most frequent ones; so buffers
        have one size, whatever was counted.
    """

    unigrams: Tensor
    contexts: Tensor
    starts: Tensor
    tokens: Tensor
    counts: Tensor

    def __init__(self, vocab_size: int, longest: int, entries: int):
        super().__init__()
        self.vocab_size, self.longest = vocab_size, longest
        self.register_buffer("unigrams", torch.zeros(vocab_size))
        self.register_buffer("contexts", torch.full((entries,), ABSENT))  # keys, ascending
        self.register_buffer("starts", torch.zeros(entries + 1, dtype=torch.int32))  # of the followers of each
        self.register_buffer("tokens", torch.zeros(entries, dtype=torch.int32))
        self.register_buffer("counts", torch.zeros(entries))
        self.weight = nn.Parameter(torch.tensor(WEIGHT))

    def keys(self, ids: Tensor) -> Tensor:
        """Keys (B, T, K) of the last 1 to K tokens up to each of ids (B, T), K = longest - 1. The first token stands before itself too."""
        found, key, power = [], torch.zeros_like(ids), 1
        for distance in range(self.longest - 1):
            earlier = torch.cat((ids[:, :1].expand(-1, distance), ids[:, : ids.shape[1] - distance]), dim=1)
            key = key + (earlier + 1) * power
            power *= self.vocab_size + 1
            found.append(key)
        return torch.stack(found, dim=-1)

    def forward(self, keys: Tensor, left_out: Tensor | None = None) -> Tensor:
        """Weighted log-probabilities (N, V) of the next token after contexts with keys (N, K). left_out: (N,) tokens that are not counted
        once."""
        return self.weight * self.log_probabilities(keys, left_out)

    @torch.no_grad()
    def log_probabilities(self, keys: Tensor, left_out: Tensor | None = None) -> Tensor:
        """(N, V) of the next token."""
        dtype = torch.promote_types(self.unigrams.dtype, torch.float32)  # half precision has no counts above some hundreds
        counts = self.unigrams.to(dtype) + 1
        found = counts.expand(len(keys), -1).clone()  # (N, V)
        total = counts.sum().expand(len(keys))
        if left_out is not None:
            once = (self.unigrams[left_out] > 0).to(dtype)
            found.scatter_add_(1, left_out[:, None], -once[:, None])
            total = total - once
        found /= total[:, None]
        for key in keys.T.contiguous():
            row, token, count = self._followers(key)
            count = count.to(dtype)
            if left_out is not None:
                count = count - (token == left_out[row]).to(dtype)
            kept = (count - DISCOUNT).clamp(min=0)
            total, discounted = (torch.zeros(len(key), dtype=dtype, device=key.device).index_add(0, row, value) for value in (count, kept))
            share = torch.where(total > 0, (total - discounted) / total.clamp(min=1), 1.0)  # left to shorter contexts
            found.mul_(share[:, None]).index_put_((row, token), kept / total.clamp(min=1)[row], accumulate=True)
        return found.log_()

    def _followers(self, key: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The rows of keys (N,), tokens and counts of all that follow them in the training rows."""
        place = torch.searchsorted(self.contexts, key).clamp(max=len(self.contexts) - 1)
        size = (self.starts[place + 1] - self.starts[place]).long() * (self.contexts[place] == key)
        row = torch.arange(len(key), device=key.device).repeat_interleave(size)
        entry = self.starts[place][row] + torch.arange(len(row), device=key.device) - (size.cumsum(0) - size)[row]
        return row, self.tokens[entry].long(), self.counts[entry]

    @torch.no_grad()
    def count(self, texts: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Counts the n-grams of texts: keys (N, K) of contexts, and the tokens (N,) that follow."""
        grams, unigrams = [np.zeros((0, 2), dtype=np.int64)], torch.zeros_like(self.unigrams)
        for keys, tokens in texts:
            unigrams += tokens.bincount(minlength=self.vocab_size)
            grams += [torch.stack((key, tokens), dim=1).numpy() for key in keys.unbind(-1)]
        followed, counts = np.unique(np.concatenate(grams), axis=0, return_counts=True)
        kept = np.sort(np.argsort(-counts, kind="stable")[: len(self.counts)])
        followed, counts = followed[kept], counts[kept]
        contexts, starts = np.unique(followed[:, 0], return_index=True)
        self.unigrams.copy_(unigrams)
        self.contexts[: len(contexts)] = torch.from_numpy(contexts)
        self.starts.fill_(len(followed))
        self.starts[: len(starts)] = torch.from_numpy(starts)
        self.tokens[: len(followed)] = torch.from_numpy(followed[:, 1])
        self.counts[: len(counts)] = torch.from_numpy(counts)
