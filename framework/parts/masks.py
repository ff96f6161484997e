"""Attention masks: causal, padding, documents, sliding window; and the bias on the scores.

Shapes: B batch, T query length, S key length, H heads.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Mask:
    """Which of S keys each of T queries attends to. With `causal` the queries are the last T of the S tokens.

    padding_mask: (B, S), True = token; None = no padding. Padding on the right needs none under a causal mask.
    documents: the document number of every query (B, T) and key (B, S); a token attends to its own document.
    window: a token attends to tokens nearer than this many, itself included.
    bias: (B or 1, H, T, S), added to the scores.
    relative: function of the scaled queries (B, H, T, d) that gives a further bias (B, H, T, S); `attend` calls it.
    vectors: a table (P, D) and places in it (B or 1, T, S), see `Position.vectors`; an attention turns them into a bias.
    document_lengths: tokens of each document of all rows, in order, where attention may be computed for each alone: without padding and
        bias, and known without a wait (on a CPU, not compiled); else None.

    >>> Mask(3, 3, causal=True).dense()[0, 0].int().tolist()
    [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    """

    queries: int
    keys: int
    causal: bool = False
    padding_mask: Tensor | None = None
    documents: tuple[Tensor, Tensor] | None = None
    window: int | None = None
    device: torch.device | None = None
    bias: Tensor | None = None
    relative: Callable[[Tensor], Tensor] | None = field(default=None, repr=False, compare=False)
    vectors: tuple[Tensor, Tensor] | None = field(default=None, repr=False, compare=False)
    document_lengths: list[int] | None = field(init=False, repr=False, compare=False)
    _sdpa: dict[str, Any] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Once for all layers, before the first of them: tensors made inside a layer would be missing when gradient checkpointing
        # runs that layer again. `dataclasses.replace` makes a new mask, with keywords of its own.
        object.__setattr__(self, "document_lengths", self._document_lengths())
        object.__setattr__(self, "_sdpa", self._keywords() if self.document_lengths is None else None)

    def sdpa(self) -> dict[str, Any]:
        """Keywords for `scaled_dot_product_attention`: mask and bias as `attn_mask`, or `is_causal` alone wherever that is equivalent."""
        if self._sdpa is None:  # a mask of documents is large, takes part in no gradient, and is not needed where each has its own call
            object.__setattr__(self, "_sdpa", self._keywords())
        assert self._sdpa is not None
        return self._sdpa

    def of(self, query: Tensor) -> "Mask":
        """The mask with the bias of these scaled queries (B, H, T, d), where there is one that depends on them."""
        if self.relative is None:
            return self
        relative = self.relative(query)
        return replace(self, bias=relative if self.bias is None else self.bias + relative, relative=None)

    def dense(self) -> Tensor | None:
        """(B or 1, 1, T, S), True = attend; None = every query attends to every key. The bias is not in it.

        A query that is padding attends to itself where it may have no other key, so that its softmax is finite.
        """
        allowed: Tensor | None = None
        window = self._effective_window()
        if self.causal or window is not None:
            query, key = self._indices()
            allowed = key <= query if self.causal else torch.ones_like(key <= query)  # (T, S)
            if window is not None:
                allowed = allowed & ((query - key).abs() < window)
            allowed = allowed[None, None]  # (1, 1, T, S)
        for other in (self._same_document(), self._tokens()):
            if other is not None:
                allowed = other if allowed is None else allowed & other
        return allowed

    def _keywords(self) -> dict[str, Any]:
        plain = self.padding_mask is None and self.documents is None and self._effective_window() is None and self.bias is None
        if plain and self.causal and self.queries == self.keys:  # `is_causal` is aligned top-left
            return {"is_causal": True}
        if plain and self.causal and self.queries == 1:
            return {}  # one query, the last: it attends to every key
        allowed = self.dense()
        if self.bias is None:
            return {} if allowed is None else {"attn_mask": allowed}
        return {"attn_mask": self.bias if allowed is None else self.bias.masked_fill(~allowed, float("-inf"))}

    def _document_lengths(self) -> list[int] | None:
        if self.documents is None or self.padding_mask is not None or self.bias is not None or torch.compiler.is_compiling():
            return None
        documents, keys = self.documents
        if documents is not keys or documents.device.type != "cpu":
            return None
        begins = torch.ones_like(documents, dtype=torch.bool)
        begins[:, 1:] = documents[:, 1:] != documents[:, :-1]
        rows, places = begins.nonzero(as_tuple=True)
        if len(set(zip(rows.tolist(), documents[rows, places].tolist(), strict=True))) < len(rows):
            return None  # a document in several pieces
        return torch.diff(rows * self.keys + places, append=torch.tensor([documents.numel()])).tolist()

    def _effective_window(self) -> int | None:
        """The window, unless it covers every key; an exported program serves any length, so it keeps the window."""
        if self.window is None or torch.compiler.is_exporting():
            return self.window
        return None if self.window >= self.keys else self.window

    def _same_document(self) -> Tensor | None:
        if self.documents is None:
            return None
        query, key = self.documents
        return (query[:, :, None] == key[:, None, :])[:, None]  # (B, 1, T, S)

    def _tokens(self) -> Tensor | None:
        if self.padding_mask is None:
            return None
        padding_mask = self.padding_mask[:, None, None, :]  # (B, 1, 1, S)
        if not self.causal and self.documents is None and self._effective_window() is None:
            return padding_mask
        query, key = self._indices()
        return padding_mask | (key == query)  # (B, 1, T, S)

    def _indices(self) -> tuple[Tensor, Tensor]:
        """Indices of the queries (T, 1) and of the keys (S,), from the first key."""
        device = self.device if self.padding_mask is None else self.padding_mask.device
        query = torch.arange(self.keys - self.queries, self.keys, device=device)[:, None]
        return query, torch.arange(self.keys, device=device)
