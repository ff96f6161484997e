"""Next tokens that follow from the tokens of the source: copies of them, or their entries in a lexicon.

Shapes: B rows, S source tokens, T target tokens, N targets or running hypotheses, D model width, K entries of a token, V vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from framework.parts.caches import EncoderOutput

_LEAST = 1e-10  # probability of a token without any weight, so that its logarithm is finite


@dataclass(frozen=True)
class PointedSource:
    """Source texts, encoded for a `SourcePointer`.

    keys: (B, S, D). ids: (B, S). padding_mask: (B, S), True = token, or None. lexicons: (B,) their numbers.
    """

    keys: Tensor
    ids: Tensor
    padding_mask: Tensor | None
    lexicons: Tensor

    def __getitem__(self, rows: Tensor) -> "PointedSource":
        mask = None if self.padding_mask is None else self.padding_mask[rows]
        return PointedSource(self.keys[rows], self.ids[rows], mask, self.lexicons[rows])


class SourcePointer(nn.Module):
    """A distribution over the vocabulary from attention to the source, mixed with that of the model by a gate.

    Attention of the decoder's hidden states to the encoder's gives each source token a weight. It goes to the token itself, which is
    copied: See et al. 2017, section 2.2, https://arxiv.org/abs/1704.04368; or to its translations in a lexicon, by their probabilities:
    Arthur et al. 2016, section 3.1, https://arxiv.org/abs/1606.02006

    entries: K, of each token in the lexicon.
    folds: F, each with a lexicon that is learned without its rows, so that in training the model does not trust translations that were
        learned from the row itself.

    Buffers `tokens` (1 + F, V, K) and `weights` (1 + F, V, K), which sum up to 1, are the lexicons, that of all rows first. As they are
    built, each token has itself.
    """

    tokens: Tensor
    weights: Tensor

    def __init__(self, dim: int, vocab_size: int, entries: int = 1, folds: int = 0):
        super().__init__()
        self.query, self.key = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.gate = nn.Linear(dim, 1)
        self.folds = folds
        self.register_buffer("tokens", torch.arange(vocab_size)[:, None].repeat(1 + folds, 1, entries))
        self.register_buffer("weights", torch.eye(1, entries).repeat(1 + folds, vocab_size, 1))

    def fold_of(self, ids: Tensor) -> Tensor:
        """The folds (B,) of source ids (B, S), 0 where there is padding: those of a row are the same in every batch."""
        return ids.sum(dim=1) % self.folds

    def source(self, ids: Tensor, encoded: EncoderOutput) -> PointedSource:
        """Source ids (B, S), encoded."""
        mask = encoded.padding_mask
        lexicons = torch.zeros_like(ids[:, 0])
        if self.training and self.folds:
            lexicons = 1 + self.fold_of(ids if mask is None else ids * mask)
        return PointedSource(self.key(encoded.hidden_states), ids, mask, lexicons)

    def attention(self, hidden: Tensor, source: PointedSource) -> Tensor:
        """Weights (B, T, S) of the source tokens for hidden states (B, T, D)."""
        scores = self.query(hidden) @ source.keys.transpose(1, 2) * source.keys.shape[-1] ** -0.5  # (B, T, S)
        if source.padding_mask is not None:
            scores = scores.masked_fill(~source.padding_mask[:, None], float("-inf"))
        return scores.softmax(dim=-1)

    def forward(self, logits: Tensor, hidden: Tensor, attention: Tensor, ids: Tensor, lexicons: Tensor) -> Tensor:
        """Log-probabilities (N, V) from logits (N, V), hidden states (N, D), and the attention (N, S) to source ids (N, S) with the entries
        of lexicons (N,)."""
        own = logits.log_softmax(dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))
        entries = lexicons[:, None], ids
        shares = (attention[..., None] * self.weights[entries]).flatten(1).to(own.dtype)  # (N, S * K)
        pointed = torch.full_like(own, _LEAST).scatter_add(1, self.tokens[entries].flatten(1), shares)
        gate = self.gate(hidden).to(own.dtype)  # (N, 1)
        return torch.logaddexp(own + logsigmoid(gate), pointed.log() + logsigmoid(-gate))
