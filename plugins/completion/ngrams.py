"""Probabilities of n-grams beside the logits of the model.

Shapes: B batch, T tokens, N targets, K lengths of a context, V vocabulary.
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from framework import Batch, at_targets

ABSENT = -1  # the hash of a context that begins before its text
DISCOUNT = 0.75  # of every count: Ney et al. 1994
TOKENS = 5_000_000  # of the training texts that are counted at most
_BITS = 16  # of the count of an n-gram (65,535 at most), the lower bits of its entry in the table; the 15 above are its fingerprint
_COUNT, _FINGERPRINT = 2**16 - 1, 2**15 - 1
_MULTIPLIERS = (-7046029254386353131, -4658895280553007687)  # of Steele et al. 2014, https://doi.org/10.1145/2660193.2660195


class NgramLogits(nn.Module):
    """An n-gram model of tokens, whose log-probabilities are added to the logits: the model learns what the counts do not tell. Li et al.
    2022, https://arxiv.org/abs/2210.14431

    Counts are those of the training texts, interpolated by absolute discounting: Ney et al. 1994, section 3,
    https://doi.org/10.1006/csla.1994.1001. In training a token is left out of the counts that predict it, or the model would learn to trust
    n-grams that no other text has.

    longest: tokens of the longest n-grams. buckets: entries of the table, which n-grams share by their hashes; of those with the same entry
    the most frequent one is kept.
    """

    unigrams: Tensor
    table: Tensor

    def __init__(self, vocab_size: int, longest: int, buckets: int):
        super().__init__()
        self.longest = longest
        self.register_buffer("unigrams", torch.zeros(vocab_size))
        self.register_buffer("table", torch.zeros(buckets, dtype=torch.int32))
        self.scale = nn.Parameter(torch.ones(()))

    def contexts(self, ids: Tensor, documents: Tensor | None = None, padding_mask: Tensor | None = None) -> Tensor:
        """Hashes (B, T, K) of the last 1 to K tokens up to each of ids (B, T), K = longest - 1. documents: (B, T) document numbers of
        packed rows; padding_mask: (B, T), True = token."""
        found, hashes = [], torch.zeros_like(ids)
        document = torch.zeros_like(ids) if documents is None else documents
        document = document if padding_mask is None else document.masked_fill(~padding_mask, ABSENT)
        for distance in range(self.longest - 1):
            earlier = pad(ids, (distance, 0))[:, : ids.shape[1]]
            hashes = _mixed(hashes + earlier + 1)
            same = pad(document, (distance, 0), value=ABSENT)[:, : ids.shape[1]] == document
            found.append(hashes.masked_fill(~same, ABSENT))
        return torch.stack(found, dim=-1)  # (B, T, K)

    def forward(self, logits: Tensor, contexts: Tensor, left_out: Tensor | None = None) -> Tensor:
        """Logits (N, V), and the log-probabilities of n-grams after contexts (N, K). left_out: (N,) tokens that are not counted once."""
        return logits + self.scale * self.log_probabilities(contexts, left_out)

    @torch.no_grad()
    def log_probabilities(self, contexts: Tensor, left_out: Tensor | None = None) -> Tensor:
        """(N, V) of the next token."""
        compute = interpolated_in_a_graph if torch.compiler.is_compiling() else interpolated
        return compute(self.unigrams, self.table, contexts, left_out)

    @torch.no_grad()
    def count(self, batches: Iterable[Batch]) -> None:
        """Counts the n-grams of the training texts, of the first TOKENS tokens."""
        keys: list[Tensor] = []
        unigrams, read = torch.zeros_like(self.unigrams), 0
        for batch in batches:
            places = batch.get("target_places")
            tokens = at_targets(batch["targets"], batch["targets"], places)  # (N,)
            contexts = at_targets(self.contexts(batch["ids"], batch.get("documents")), batch["targets"], places)  # (N, K)
            unigrams += tokens.bincount(minlength=len(unigrams))
            bucket, fingerprint = _places(contexts, tokens[:, None], len(self.table))
            keys.append(((bucket << _BITS) | fingerprint)[contexts != ABSENT])
            read += len(tokens)
            if read >= TOKENS:
                break
        self.unigrams.copy_(unigrams)
        if read:
            grams, counts = np.unique(torch.cat(keys).numpy(), return_counts=True)
            order = np.argsort(counts, kind="stable")  # of those with the same entry, the last one written stays
            table = np.zeros(len(self.table), dtype=np.int32)
            table[grams[order] >> _BITS] = (grams[order] & _FINGERPRINT) << _BITS | np.minimum(counts[order], _COUNT)
            self.table.copy_(torch.from_numpy(table))


def interpolated(unigrams: Tensor, table: Tensor, contexts: Tensor, left_out: Tensor | None) -> Tensor:
    """Log-probabilities (N, V) of the tokens after contexts (N, K), from the counts of unigrams (V,) and a table of those of n-grams.
    left_out: (N,) tokens that are not counted once."""
    own = None if left_out is None else left_out[:, None]  # (N, 1)
    dtype = _computed_in(unigrams)
    of_tokens = unigrams.to(dtype).expand(len(contexts), -1)  # (N, V)
    found = torch.full_like(of_tokens, 1 / len(unigrams))  # (N, V)
    for counts in (of_tokens, *(_counts(table, context, len(unigrams)).to(dtype) for context in contexts.unbind(-1))):
        if own is not None:
            counts = counts.scatter(1, own, (counts.gather(1, own) - 1).clamp(min=0))
        total = counts.sum(dim=1, keepdim=True)  # (N, 1)
        kept = (counts - DISCOUNT).relu_()
        share = torch.where(total > 0, (total - kept.sum(dim=1, keepdim=True)) / total.clamp(min=1), 1.0)  # left to shorter contexts
        found = torch.addcmul(kept / total.clamp(min=1), found, share)
    return found.log()


# One operation for torch.compile, which takes minutes to write kernels for all the hashes. A call outside of a graph would import it.
interpolated_in_a_graph = torch.library.custom_op("plugformer::ngram_log_probabilities", interpolated, mutates_args=())


@interpolated_in_a_graph.register_fake
def _(unigrams: Tensor, table: Tensor, contexts: Tensor, left_out: Tensor | None) -> Tensor:
    return unigrams.new_empty((contexts.shape[0], unigrams.shape[0]), dtype=_computed_in(unigrams))


def _computed_in(unigrams: Tensor) -> torch.dtype:
    return torch.promote_types(unigrams.dtype, torch.float32)  # half precision has no counts above some hundreds


def _counts(table: Tensor, contexts: Tensor, vocab_size: int) -> Tensor:
    """Counts (N, V) of each token after contexts (N,) in the training texts."""
    bucket, fingerprint = _places(contexts[:, None], torch.arange(vocab_size, device=contexts.device), len(table))
    entries = table.index_select(0, bucket.flatten()).view_as(bucket)  # (N, V)
    known = (entries >> _BITS == fingerprint) & (contexts != ABSENT)[:, None]
    return (entries & _COUNT).mul_(known)


def _places(contexts: Tensor, tokens: Tensor, buckets: int) -> tuple[Tensor, Tensor]:
    """The bucket of an n-gram in the table, and its fingerprint."""
    hashes = (contexts ^ _mixed(~tokens)) * _MULTIPLIERS[0]  # ~: the hash of a token as a context is another one
    return (hashes >> 20) % buckets, hashes & _FINGERPRINT


def _mixed(hashes: Tensor) -> Tensor:
    """Hashes of integers; products wrap around."""
    for multiplier in _MULTIPLIERS:
        hashes = hashes ^ ((hashes >> 30) & 0x3FFFFFFFF)
        hashes = hashes * multiplier
    return hashes ^ ((hashes >> 31) & 0x1FFFFFFFF)
