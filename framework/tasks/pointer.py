"""Next tokens that follow from the tokens of the source: copies of them, or their entries in a lexicon.

Shapes: B rows, S source tokens, T target tokens, N targets or running hypotheses, D model width, K entries of a token, V vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from framework.parts.caches import EncoderOutput

LEAST = 1e-3  # added to the probability of every token, so that the model can write what the source does not tell: Arthur et al. 2016
FARTHEST = 8  # tokens between a target's place and a source's that are told apart
OFFSETS = (-1, 0, 1, 2)  # from the source tokens of the last target to a source token
NEXT = 3.0  # score of the source token after the one that the last target came from, before training


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
    """A distribution over the vocabulary from attention to the source, whose logarithm is added to the logits of the model.

    Attention of the decoder's hidden states to the encoder's gives each source token a weight. It goes to the token itself, which is
    copied: See et al. 2017, section 2.2, https://arxiv.org/abs/1704.04368; or to its translations in a lexicon, by their probabilities:
    Arthur et al. 2016, sections 3.1 and 3.2 (bias), https://arxiv.org/abs/1606.02006

    Scores of the attention are the sum of those of the hidden states, which are zero as the pointer is built, of the distance of the places
    in source and target, and of where in the source the last target token comes from, by its entries: so it begins from left to right.

    entries: K, of each token in the lexicon.
    folds: F, each with a lexicon that is learned without its rows, so that in training the model does not trust translations that were
        learned from the row itself.
    slope: how much the score falls with each token of distance, before training.

    Buffers `tokens` (1 + F, V, K) and `weights` (1 + F, V, K), which sum up to 1, are the lexicons, that of all rows first. As they are
    built, each token has itself.
    """

    tokens: Tensor
    weights: Tensor

    def __init__(self, dim: int, vocab_size: int, entries: int = 1, folds: int = 0, slope: float = 1.0):
        super().__init__()
        self.query, self.key = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        nn.init.zeros_(self.query.weight)
        self.distance = nn.Parameter(-slope * torch.arange(-FARTHEST, FARTHEST + 1.0).abs())
        self.offset = nn.Parameter(torch.tensor([NEXT if offset == 1 else 0.0 for offset in OFFSETS]))
        self.scale = nn.Parameter(torch.ones(()))
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

    def attention(self, hidden: Tensor, source: PointedSource, previous: Tensor, first: int = 0) -> Tensor:
        """Weights (B, T, S) of the source tokens for hidden states (B, T, D) after the tokens previous (B, T), the first of which is at
        place `first` of the target."""
        scores = self.query(hidden) @ source.keys.transpose(1, 2) * source.keys.shape[-1] ** -0.5  # (B, T, S)
        place = torch.arange(first, first + scores.shape[1], device=scores.device)
        away = torch.arange(scores.shape[2], device=scores.device) - place[:, None]  # (T, S)
        scores = scores + self.distance[away.clamp(-FARTHEST, FARTHEST) + FARTHEST] + self._after(source, previous, place)
        if source.padding_mask is not None:
            scores = scores.masked_fill(~source.padding_mask[:, None], float("-inf"))
        return scores.softmax(dim=-1)

    def _after(self, source: PointedSource, previous: Tensor, place: Tensor) -> Tensor:
        """Scores (B, T, S) of the source tokens by their offsets from those that the tokens previous (B, T) come from. The first one comes
        from before the source."""
        entries = source.lexicons[:, None], source.ids
        came = torch.stack(
            [
                ((tokens[:, None] == previous[:, :, None]) * weights[:, None])
                for tokens, weights in zip(self.tokens[entries].unbind(-1), self.weights[entries].unbind(-1), strict=True)
            ]
        ).sum(dim=0)  # (B, T, S)
        if source.padding_mask is not None:
            came = came * source.padding_mask[:, None]
        came = came / came.sum(dim=-1, keepdim=True).clamp(min=LEAST)
        begins = (place == 0).to(came.dtype)[None, :, None].expand(len(came), -1, 1)
        came = torch.cat((begins, came * (1 - begins)), dim=-1)  # (B, T, 1 + S)
        before, behind = max(OFFSETS) - 1, -min(OFFSETS)
        came = nn.functional.pad(came, (before, behind))
        shifted = [came[..., max(OFFSETS) - offset :][..., : source.ids.shape[1]] for offset in OFFSETS]
        return torch.stack(shifted, dim=-1).to(self.offset.dtype) @ self.offset

    def forward(self, logits: Tensor, attention: Tensor, ids: Tensor, lexicons: Tensor) -> Tensor:
        """Logits (N, V) from those of the model (N, V) and the attention (N, S) to source ids (N, S) with the entries of lexicons (N,)."""
        own = logits.to(torch.promote_types(logits.dtype, torch.float32))
        entries = lexicons[:, None], ids
        shares = (attention[..., None] * self.weights[entries]).flatten(1).to(own.dtype)  # (N, S * K)
        pointed = torch.full_like(own, LEAST).scatter_add(1, self.tokens[entries].flatten(1), shares)
        return own + self.scale * pointed.log()
