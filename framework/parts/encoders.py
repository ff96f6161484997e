"""Encoders: stacks with bidirectional self-attention."""

from typing import ClassVar

from torch import Tensor

from framework.parts.stacks import Stack
from framework.registry import register


@register("encoder", "standard")
class Encoder(Stack):
    """Transformer encoder. Vaswani et al. 2017, section 3.1, https://arxiv.org/abs/1706.03762"""

    provides: ClassVar[dict[str, str]] = {**Stack.provides, "bidirectional": "True"}

    def forward(self, x: Tensor, positions: Tensor, padding_mask: Tensor | None = None, documents: Tensor | None = None) -> Tensor:
        """Embeddings x (B, T, D) at positions (B or 1, T) -> hidden states (B, T, D).

        padding_mask: (B, T), True = token. documents: (B, T) document numbers of packed rows; a token attends to its own document.
        """
        return self.run_layers(x, *self.prepare(x, positions, padding_mask, documents))


@register("encoder", "shared")
class SharedEncoder(Encoder):
    """Transformer encoder whose layers share their weights. Lan et al. 2020 (ALBERT), section 3.1, https://arxiv.org/abs/1909.11942"""

    shares_weights = True
    provides: ClassVar[dict[str, str]] = {**Encoder.provides, "shared_layers": "True"}
