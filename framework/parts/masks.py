"""What a query may see: one mask, one meaning.

Shapes: B batch, T query length, S key length, H heads.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Mask:
    """What T queries may see of S keys. With `causal` the queries are the last T of the S.

    padding_mask: (B, S), True = a token; None when all are. Under a causal mask right padding needs none: no token looks right.
    documents: the document number of every query (B, T) and key (B, S); a token sees its own document alone.
    window: a token sees what is nearer than this many tokens, itself included.
    shared: a bias and the keywords that `kernel` answers for it, made by `prepared`.
    """

    queries: int
    keys: int
    causal: bool = False
    padding_mask: Tensor | None = None
    documents: tuple[Tensor, Tensor] | None = None
    window: int | None = None
    device: torch.device | None = None
    shared: tuple[Tensor | None, dict[str, Any]] | None = None

    def prepared(self, bias: Tensor | None = None) -> "Mask":
        """The same mask for all layers of a stack: what the kernel is told is made once, here, before the first of them.

        Made inside a layer and kept, it would be missing when gradient checkpointing runs that layer again.
        """
        return replace(self, shared=(bias, self.kernel(bias)))

    def dense(self) -> Tensor | None:
        """(B or 1, 1, T, S), True = may be seen; None when everything may.

        A causal query always sees itself, so that a padding query has something to look at and stays finite.
        """
        allowed: Tensor | None = None
        if self.causal or self._narrow() is not None:
            query, key = self._numbers()
            allowed = key <= query if self.causal else torch.ones_like(key <= query)  # (T, S)
            if (window := self._narrow()) is not None:
                allowed = allowed & ((query - key).abs() < window)
            allowed = allowed[None, None]  # (1, 1, T, S)
        for other in (self._documents(), self._real()):
            if other is not None:
                allowed = other if allowed is None else allowed & other
        return allowed

    def _narrow(self) -> int | None:
        """The window, where it leaves anything out; in a program that is exported for any length it may."""
        if self.window is None or torch.compiler.is_exporting():
            return self.window
        return None if self.window >= self.keys else self.window

    def _documents(self) -> Tensor | None:
        if self.documents is None:
            return None
        query, key = self.documents
        return (query[:, :, None] == key[:, None, :])[:, None]  # (B, 1, T, S)

    def _real(self) -> Tensor | None:
        if self.padding_mask is None:
            return None
        padding_mask = self.padding_mask[:, None, None, :]  # (B, 1, 1, S)
        if not self.causal:
            return padding_mask
        query, key = self._numbers()
        return padding_mask | (key == query)  # (B, 1, T, S)

    def _numbers(self) -> tuple[Tensor, Tensor]:
        """The queries (T, 1) and the keys (S,), counted from the first key."""
        device = self.device if self.padding_mask is None else self.padding_mask.device
        query = torch.arange(self.keys - self.queries, self.keys, device=device)[:, None]
        return query, torch.arange(self.keys, device=device)

    def kernel(self, bias: Tensor | None = None) -> dict[str, Any]:
        """Keywords for `scaled_dot_product_attention`: `is_causal` alone wherever that is the whole truth.

        bias: (B or 1, H, T, S), added to the scores. `is_causal` is aligned top-left, so it serves only when T == S.
        """
        if self.shared is not None and self.shared[0] is bias:
            return self.shared[1]
        plain = self.padding_mask is None and self.documents is None and self._narrow() is None and bias is None
        if plain and self.causal and self.queries == self.keys:
            return {"is_causal": True}
        if plain and self.causal and self.queries == 1:
            return {}  # one query, the last: it sees all
        allowed = self.dense()
        if bias is None:
            return {} if allowed is None else {"attn_mask": allowed}
        return {"attn_mask": bias if allowed is None else bias.masked_fill(~allowed, float("-inf"))}
