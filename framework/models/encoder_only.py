"""Encoder-only models (BERT)."""

from typing import Any, ClassVar

from torch import Tensor

from framework.models.base import Model
from framework.parts.embeddings import Embeddings, Pooler
from framework.parts.initialize import initialize
from framework.parts.layout import make_positions
from framework.registry import Part, choice, register


@register("model")
class EncoderOnlyModel(Model):
    """Encoder-only model (BERT). Devlin et al. 2019, section 3, https://arxiv.org/abs/1810.04805

    segments: number of segment embeddings (token types; BERT: 2); 0 = none.
    pooler: whether there is a dense layer with tanh on the first token's hidden state (BERT). It is trained only by tasks that use it.
    encoder: the stack of layers.
    """

    provides: ClassVar = {"encoder": "True", "pooler": "pooler"}

    rules: ClassVar[dict[str, str]] = {**Model.rules, "0 <= segments <= 2**16": "segments must not be negative, and at most 2**16"}

    def __init__(self, segments: int = 0, pooler: bool = False, encoder: Part = choice("encoder", "standard"), **options: Any):
        super().__init__(**options)
        self.embeddings = Part(Embeddings, segments=segments)(**self.context)
        self.encoder = encoder(**self.context)
        self.pooler = Pooler(self.dim).requires_grad_(False) if pooler else None
        initialize(self, self.initial_std)

    def forward(
        self,
        ids: Tensor,
        padding_mask: Tensor | None = None,
        segments: Tensor | None = None,
        positions: Tensor | None = None,
        documents: Tensor | None = None,
    ) -> Tensor:
        """Token ids (B, T) -> hidden states (B, T, D).

        padding_mask: (B, T), True = token; None = no padding. segments: (B, T); None = all 0. positions: (B or 1, T); None = counted.
        documents: (B, T) document numbers of packed rows.
        """
        positions = make_positions(ids, padding_mask, documents) if positions is None else positions
        x = self.embeddings(self.tokens(ids), self.encoder.position, positions, segments)
        return self.encoder(x, positions, padding_mask, documents)
